"""The fast transport with its usual cases compiled.

`_fastpath.c` is optional: who installs weighbridge without a C compiler has `FastTransport`
alone, which does the same. Where it was built, it serves the ready sockets and goes on by itself
for as long as everything is as usual; the methods here take over what is not.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from analysis import ABSENT
from sampler.exchange.transport import _fastpath
from sampler.exchange.transport.fast import DRAIN_GRACE_NS, FastTransport
from sampler.exchange.transport.poller import EpollPoller

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sampler.exchange.transport.base import Wiring
    from sampler.exchange.transport.connection import Connection
    from sampler.exchange.transport.poller import Events, Poller


class CompiledTransport(FastTransport):
    """Carries exchanges over plain TCP; parameters and attributes are those of `FastTransport`.

    For systems with epoll, and wirings whose clock is `run_clock`.
    """

    _new_connection = _fastpath.Connection
    _new_launches = _fastpath.Launches

    def __init__(self, wiring: Wiring) -> None:
        self._rows = _fastpath.Rows()
        wiring.recorder.collect_in(self._rows)
        super().__init__(wiring)

    def _make_poller(self) -> Poller:
        return _Poller(self._loop, self._on_ready, self)

    def fast_path(self, epoll: int) -> _fastpath.FastPath:
        """Return what serves the sockets that an epoll instance watches."""
        return _fastpath.FastPath(
            epoll=epoll,
            connections=self._connections,
            slots=self._slots,
            draining=self._draining,
            answers=self._answers,
            closings=self.closings,
            launches=self.launches,
            rows=self._rows,
            keep=self._keep,
            close=self._close,
            pick=self._addresses.pick,
            lengths=self._lengths.of if self._draws_life else None,
            life=self._life,
            timeout_ns=self._timeout_ns,
            first_deadline_ns=self._first_deadline_ns,
            drain_grace_ns=DRAIN_GRACE_NS,
            most_draining=self._most_draining,
            # Connections from a chosen address are bound to it first.
            launches_itself=self._wiring.launches_itself and not self._source,
            on_idle=self._on_idle,
            on_ready=self._on_ready,
            on_opening=self._on_opening,
            on_sending=self._on_sending,
            on_launch=self._on_launch,
            on_reading=self._on_reading,
            on_end=self._on_end,
            drain=self._drain,
            discard=self._discard,
        )

    # What was not as usual. A code is what the system call failed with, or 0.

    def _on_opening(self, slot: int, index: int, now: int, number: int, code: int) -> None:
        self._not_opened(slot, index, now, now, number, _error(code))

    def _on_launch(self, conn: Connection, sent: int, code: int) -> None:
        failure = self._not_sent(conn, _error(code)) if code else self._sent(conn, sent)
        if failure is not None:
            self._fail_soon(conn, failure)

    def _on_sending(self, conn: Connection, mask: int, sent: int, code: int) -> None:
        failure = self._not_sent(conn, _error(code)) if code else self._sent(conn, sent)
        self._after_sending(conn, mask, failure)

    def _on_reading(self, conn: Connection, mask: int, data: bytes, code: int, now: int) -> None:
        if code:
            self._not_read(conn, _error(code))
        elif not data:
            self._read_eof(conn)
        else:
            if conn.first_byte_ns == ABSENT:
                conn.first_byte_ns = now
            if not self._take_in(conn, data, mask):
                self._read(conn, mask)

    def _on_end(self, conn: Connection, mask: int, keep_alive: int) -> None:
        self._settle(conn, mask, keep_alive=bool(keep_alive))


class _Poller(EpollPoller):
    """Has the fast path serve what is ready."""

    __slots__ = ("_path", "_transport")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_ready: Callable[[Events], None],
        transport: CompiledTransport,
    ) -> None:
        super().__init__(loop, on_ready)
        self._transport = transport
        self._path = transport.fast_path(self._epoll.fileno())

    def _serve(self) -> bool:
        try:
            return self._path.serve()
        except Exception as error:  # noqa: BLE001 - nobody called: the engine raises it
            self._transport.failure = error
            return True


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
