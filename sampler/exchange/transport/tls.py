"""TLS under the fast transport: the same states, with encrypted bytes on the socket.

How it works. `TlsLayer` is TLS as bytes in and bytes out (OpenSSL on memory buffers), without
a socket. `TlsTransport` replaces the few methods of `FastTransport` that touch a socket: a
connection stays CONNECTING until its handshake is done, so that the connect timeout holds for
both; bytes are encrypted before they go out and decrypted before the reader sees them.

A DRAINING connection that carried one exchange is read without being decrypted: what comes after
the answer (session tickets, close_notify) is of no interest, only the FIN is. Sessions are not
resumed: each connection makes a full handshake, as the first visit of a user does.
"""

from __future__ import annotations

import errno
import os
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from analysis import ABSENT, Outcome
from sampler.exchange.failure import Failure, FailureCode, connect_failure
from sampler.exchange.transport.connection import (
    AWAITING,
    CHUNK,
    DRAINING,
    IDLE,
    SENDING,
    Connection,
    read_failure,
    send_failure,
)
from sampler.exchange.transport.fast import SPOILT, FastTransport
from sampler.exchange.transport.poller import PEER_CLOSED, READABLE
from sampler.exchange.transport.trust import broken_tls, client_context, handshake_failure

if TYPE_CHECKING:
    from sampler.exchange.http1.response import Response
    from sampler.exchange.transport.base import Wiring

_MOST_READS = 16  # of an idle connection's tickets, at a time


class TlsLayer:
    """The client's side of one TLS connection, without a socket.

    Parameters
    ----------
    context : ssl.SSLContext
        Whom to believe.
    host : str
        Name or address that the certificate must carry; a name is also sent (SNI, RFC 6066).

    Attributes
    ----------
    is_ready : bool
        Whether the handshake is done.
    is_ended : bool
        Whether the peer will send nothing more.
    failure : ssl.SSLError or None
        A fatal alert, or bytes that are not TLS, after the handshake.
    unsent : bytes
        What the socket has not taken yet.
    """

    __slots__ = ("_incoming", "_outgoing", "_tls", "failure", "is_ended", "is_ready", "unsent")

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.is_ready = False
        self.is_ended = False
        self.failure: ssl.SSLError | None = None
        self.unsent = b""

    def receive(self, data: bytes) -> None:
        """Take what came from the socket; nothing is its end."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def shake_hands(self) -> bool:
        """Go on with the handshake as far as what was received allows; return `is_ready`.

        Raises
        ------
        ssl.SSLError
            If the handshake has failed.
        """
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            self.is_ready = True
        return self.is_ready

    def encrypt(self, data: bytes | memoryview) -> None:
        """Add `data` to what goes out."""
        self._tls.write(data)

    def to_send(self) -> bytes:
        """Return all that is to go out; the caller puts back in `unsent` what did not."""
        data, self.unsent = self.unsent + self._outgoing.read(), b""
        return data

    def decrypt(self) -> bytes:
        """Return all that can be decrypted; note in `failure` and `is_ended` what ended it.

        The bare end of the connection counts as the end, as close_notify does: many servers
        send none. RFC 9112 section 9.8 would have an answer without a length taken for cut
        off; here a label that was read is what counts, and half a document has none.
        """
        parts: list[bytes] = []
        try:
            while part := self._tls.read(CHUNK):
                parts.append(part)
            self.is_ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self.is_ended = True
        except ssl.SSLError as error:
            self.failure = error
        return b"".join(parts)

    def say_goodbye(self) -> None:
        """Add close_notify to what goes out (RFC 8446 section 6.1)."""
        with suppress(ssl.SSLError):
            self._tls.unwrap()


class TlsTransport(FastTransport):
    """Carries exchanges over TLS; parameters and attributes are those of `FastTransport`.

    Raises
    ------
    UsageError
        If the target's file of authorities cannot be used.
    """

    _quick_ack = None  # a handshake is a talk of several turns, best left to the kernel

    def __init__(self, wiring: Wiring, poller: str = "auto") -> None:
        super().__init__(wiring, poller)
        self._context = client_context(wiring.target)
        self._layers: dict[int, TlsLayer] = {}

    async def aclose(self) -> None:
        """Close all connections, the idle ones with TLS's own goodbye."""
        for conn in self._connections.values():
            if conn.state == IDLE:
                with suppress(OSError):
                    self._say_goodbye(conn)
        await super().aclose()

    def _half_close(self, conn: Connection) -> None:
        self._say_goodbye(conn)
        super()._half_close(conn)

    def _say_goodbye(self, conn: Connection) -> None:
        layer = self._layers[conn.fd]
        layer.say_goodbye()
        conn.sock.send(layer.to_send())

    def _connect(self, slot: int) -> Connection | OSError:
        conn = super()._connect(slot)
        if isinstance(conn, Connection):
            self._layers[conn.fd] = TlsLayer(self._context, self._wiring.target.host)
        return conn

    def _discard(self, conn: Connection, closing: int, *, is_shunned: bool = False) -> None:
        del self._layers[conn.fd]
        super()._discard(conn, closing, is_shunned=is_shunned)

    def _remember(self, data: bytes, response: Response, label: int, replica: int) -> None:
        """Keep nothing: beside the cipher, parsing an answer costs little."""

    # Connecting

    def _connected(self, conn: Connection, mask: int) -> None:
        # A failure to connect shows in the first send, and an alert that came before a reset
        # can still be read: so the socket's error is not read here.
        layer = self._layers[conn.fd]
        try:
            self._shake_hands(conn, layer)
        except ssl.SSLEOFError:
            self._fail(conn, self._refusal("TLS: closed by the server in the handshake"))
        except ssl.SSLError as error:
            self._fail(conn, handshake_failure(error, self._host_port))
        except OSError as error:
            self._fail(conn, self._broken_handshake(error))
        else:
            if layer.is_ready and not layer.unsent:
                conn.deadline_ns = conn.sent_ns + self._timeout_ns
                conn.state = SENDING
                # What came with the end of the handshake is not reported a second time.
                self._go_on_sending(conn, mask | READABLE)

    def _shake_hands(self, conn: Connection, layer: TlsLayer) -> None:
        """Exchange flights until the handshake is done or the socket has nothing more."""
        if layer.unsent:
            self._flush(conn, layer)
        while not layer.is_ready:
            try:
                is_done = layer.shake_hands()
            finally:
                self._flush(conn, layer)  # an alert goes out too
            if is_done:
                return
            try:
                layer.receive(conn.sock.recv(CHUNK))
            except BlockingIOError:
                return

    def _broken_handshake(self, error: OSError) -> Failure:
        failure = connect_failure(error.errno, self._host_port)
        if failure.outcome is not Outcome.RESET:
            return failure
        return self._refusal(os.strerror(error.errno or errno.EIO), error.errno)

    def _refusal(self, reason: str, code: int | None = None) -> Failure:
        return Failure(FailureCode.HANDSHAKE, f"connect to {self._host_port}: {reason}", code)

    def _flush(self, conn: Connection, layer: TlsLayer) -> None:
        """Send what is encrypted, as much as the socket takes."""
        data = layer.to_send()
        try:
            sent = conn.sock.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        layer.unsent = data[sent:]
        if layer.unsent:
            self._poller.wants_to_write(conn.fd)
        else:
            self._poller.wrote(conn.fd)

    # Sending and reading

    def _send(self, conn: Connection) -> Failure | None:
        layer = self._layers[conn.fd]
        try:
            if conn.outgoing:
                layer.encrypt(conn.outgoing)
                conn.outgoing = b""
            self._flush(conn, layer)
        except ssl.SSLError as error:
            return self._name_failure(conn, error)
        except OSError as error:
            return send_failure(conn, error)
        if not layer.unsent:
            conn.state = AWAITING
        return None

    def _fail_sending(self, conn: Connection, failure: Failure) -> None:
        # A server that refuses us after the handshake (TLS 1.3) has said so before it closed.
        layer = self._layers[conn.fd]
        if failure.outcome is Outcome.RESET:
            with suppress(OSError):
                layer.receive(conn.sock.recv(self._wiring.load.max_header_bytes))
                if self._take_plain(conn, layer, PEER_CLOSED):
                    return
        self._fail(conn, failure)

    def _name_failure(self, conn: Connection, error: ssl.SSLError) -> Failure:
        is_answered = conn.ordinal > 0 or conn.first_byte_ns != ABSENT
        return broken_tls(error, self._host_port, is_answered=is_answered)

    def _read(self, conn: Connection, mask: int) -> None:
        layer = self._layers[conn.fd]
        while True:
            try:
                data = conn.sock.recv(CHUNK)
            except BlockingIOError:
                return
            except OSError as error:
                self._fail(conn, read_failure(conn, error))
                return
            layer.receive(data)
            is_full = len(data) == CHUNK and self._behind(conn) is not None
            ended = self._take_plain(conn, layer, mask | SPOILT if is_full else mask)
            if ended or (len(data) < CHUNK and not mask & PEER_CLOSED):
                return

    def _take_plain(self, conn: Connection, layer: TlsLayer, mask: int) -> bool:
        """Take what can be decrypted; return whether the exchange has ended."""
        # All of it is decrypted before any of it is read: what follows an answer must not be
        # taken for the next one.
        plain = layer.decrypt()
        if layer.is_ended or layer.failure is not None:
            mask |= SPOILT
        if plain:
            if conn.first_byte_ns == ABSENT:
                conn.first_byte_ns = self._clock()
            if self._feed(conn, plain, mask):
                return True
        if layer.failure is not None:
            self._fail(conn, self._name_failure(conn, layer.failure))
            return True
        if layer.is_ended:
            self._read_eof(conn)
        return layer.is_ended

    def _left_unread(self, _conn: Connection, _size: int, /) -> int:
        return 0  # `_read` has looked behind what was encrypted

    def _unasked(self, conn: Connection) -> tuple[bytes, bool]:
        """Return what came beside TLS's own messages (session tickets), and whether it is all."""
        if conn.state == DRAINING and not conn.ordinal:
            return super()._unasked(conn)
        layer = self._layers[conn.fd]
        for _ in range(_MOST_READS):
            data, has_ended = super()._unasked(conn)
            if not data:
                return b"", has_ended
            layer.receive(data)
            plain = layer.decrypt()
            # While draining, it is the end of the socket that counts: the server closes first.
            is_over = conn.state != DRAINING and (layer.is_ended or layer.failure is not None)
            if plain or is_over:
                return plain, is_over
        return b"", False
