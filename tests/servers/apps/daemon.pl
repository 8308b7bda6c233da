# One answer on HTTP::Daemon, a process for each connection, which is counted: ADDRESS PORT
use strict;
use warnings;
use HTTP::Daemon;
use HTTP::Response;

$SIG{CHLD} = 'IGNORE';
open(my $counts, '>>', $ENV{COUNTS}) or die $!;
my $daemon = HTTP::Daemon->new(LocalAddr => $ARGV[0], LocalPort => $ARGV[1], ReuseAddr => 1, Listen => 256) or die $!;
while (my $connection = $daemon->accept) {
    next if fork;
    while (my $request = $connection->get_request) {
        my $path = $request->uri->path;
        syswrite($counts, "$path\n");
        my $body = qq({"label": "$ENV{LABEL}"});
        my @pieces = (substr($body, 0, 7), substr($body, 7), undef);
        my $content = $path =~ m{^/chunked/} ? sub { shift @pieces } : $body;
        my $response = HTTP::Response->new(200, 'OK', ['Content-Type' => 'application/json']);
        $response->content($content);
        if ($path =~ m{^/close/}) { $response->header(Connection => 'close'); $connection->force_last_request; }
        $connection->send_response($response);
    }
    exit;
}
