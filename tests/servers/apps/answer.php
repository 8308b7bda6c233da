<?php // One answer, which is counted; php -S ends the connection after each.
file_put_contents(getenv('COUNTS'), $_SERVER['REQUEST_URI'] . "\n", FILE_APPEND);
header('Content-Type: application/json');
$body = json_encode(['label' => getenv('LABEL')]);
if (explode('/', $_SERVER['REQUEST_URI'])[1] === 'length') {
    header('Content-Length: ' . strlen($body));
}
echo $body;
