"""A server that answers each connection once, for tests of what a stranger may say."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def each_connection(make: Callable[[int, bytes], bytes]) -> Iterator[str]:
    """Serve what is made of the number of a connection and its request; give host and port."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:

        def serve() -> None:
            number = 0
            while True:
                try:
                    sock, _ = server.accept()
                except OSError:
                    return
                # A client that has what it wanted may be gone.
                with sock, suppress(ConnectionError):
                    sock.sendall(make(number, sock.recv(65_536)))
                number += 1

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
