"""Servers that are started from Python and have an interface of their own.

python native.py SERVER ADDRESS PORT
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from app import BODY, HALVES, answer, wsgi


def http_server_10(address, port):
    _http_server(address, port, "HTTP/1.0")


def http_server_11(address, port):
    _http_server(address, port, "HTTP/1.1")


def _http_server(address, port, version):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = version

        def do_GET(self):
            headers, pieces = answer(self.path)
            is_chunked = len(pieces) > 1 and version == "HTTP/1.1"
            self.send_response(200)
            for name, value in headers:
                self.send_header(name, value)
            if is_chunked:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in (*pieces, b"") if is_chunked else pieces:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece)

        def log_message(self, *_):
            pass

    ThreadingHTTPServer.request_queue_size = 256
    ThreadingHTTPServer((address, port), Handler).serve_forever()


def wsgiref(address, port):
    from wsgiref.simple_server import WSGIServer, make_server

    WSGIServer.request_queue_size = 256
    make_server(address, port, wsgi).serve_forever()


def werkzeug(address, port):
    from werkzeug.serving import WSGIRequestHandler, run_simple

    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    run_simple(address, port, wsgi, threaded=True)


def cheroot(address, port):
    from cheroot.wsgi import Server

    Server((address, port), wsgi, request_queue_size=256).start()


def bjoern(address, port):
    import bjoern

    bjoern.run(wsgi, address, port)


def tornado(address, port):
    import asyncio

    from tornado.web import Application, RequestHandler

    class Handler(RequestHandler):
        async def get(self):
            headers, pieces = answer(self.request.path)
            for name, value in headers:
                self.set_header(name, value)
            for piece in pieces:
                self.write(piece)
                if len(pieces) > 1:
                    await self.flush()

    async def main():
        Application([(".*", Handler)]).listen(port, address)
        await asyncio.Event().wait()

    asyncio.run(main())


def aiohttp(address, port):
    from aiohttp import web

    async def handle(request):
        headers, pieces = answer(request.path)
        if len(pieces) == 1:
            return web.Response(body=BODY, headers=headers)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        await response.write_eof()
        return response

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    web.run_app(application, host=address, port=port, print=None, access_log=None)


def twisted(address, port):
    from twisted.internet import reactor
    from twisted.web.resource import Resource
    from twisted.web.server import Site

    class Answer(Resource):
        isLeaf = True  # noqa: N815 - as twisted calls it

        def render_GET(self, request):  # noqa: N802 - as twisted calls it
            from twisted.web.server import NOT_DONE_YET

            headers, pieces = answer(request.path.decode())
            for name, value in headers:
                request.setHeader(name, value)
            for piece in pieces:
                request.write(piece)
            request.finish()
            return NOT_DONE_YET

    reactor.listenTCP(port, Site(Answer()), interface=address, backlog=256)
    reactor.run()


def sanic(address, port):
    from sanic import Sanic
    from sanic.response import ResponseStream, raw

    server = Sanic("answers")

    async def stream(response):
        for piece in HALVES:
            await response.write(piece)

    @server.get("/<path:path>")
    async def handle(request, path):
        headers, pieces = answer(request.path)
        fields = {name: value for name, value in headers if name != "Content-Length"}
        if len(pieces) == 1:
            return raw(BODY, headers=fields, content_type="application/json")
        return ResponseStream(stream, headers=fields)

    server.run(host=address, port=port, single_process=True, motd=False, access_log=False)


def robyn(address, port):
    from robyn import Response, Robyn

    server = Robyn(__file__)

    @server.get("/:framing/:combination")
    def handle(request):
        headers, _ = answer(request.url.path)
        return Response(status_code=200, headers=dict(headers), description=BODY)

    server.start(host=address, port=port)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
