"""A server that answers each connection once, for tests of what a stranger may say."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


@contextmanager
def each_connection(
    make: Callable[[int, bytes], bytes], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve what is made of the number of a connection and its request; give host and port."""
    with socket.create_server((host, 0), backlog=256) as server:

        def serve() -> None:
            number = 0
            while True:
                try:
                    sock, _ = server.accept()
                except OSError:
                    return
                # A client that has what it wanted, or does not believe us, may be gone.
                with sock, suppress(OSError):
                    if tls is not None:
                        sock = tls.wrap_socket(sock, server_side=True)
                    with sock:
                        sock.sendall(make(number, sock.recv(65_536)))
                        sock.shutdown(socket.SHUT_WR)
                        sock.recv(1)
                number += 1

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"{host}:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def answering(answer: Callable[[int], bytes], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve one answer for each connection, made from its number; give the URL."""
    with each_connection(lambda number, _: answer(number), tls=tls) as address:
        yield f"http{'s' if tls else ''}://{address}/"


def response(status: str, label: str | None, fields: str = "") -> bytes:
    """Make an answer with a label in its body, or without one."""
    body = b'{"label": "%s"}' % label.encode() if label else b"no"
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{fields}\r\n"
    return head.encode() + body
