from collections.abc import Callable

from sampler.exchange.transport.addresses import Address
from sampler.exchange.transport.base import Launches as Launches
from sampler.exchange.transport.connection import Connection as Connection

CONSTANTS: dict[str, int]

class Rows:
    def extend(self, row: tuple[int, ...], /) -> None: ...
    def drain(self) -> bytes: ...
    def __len__(self) -> int: ...

class FastPath:
    def __init__(
        self,
        *,
        epoll: int,
        connections: dict[int, Connection],
        slots: list[Connection | None],
        draining: dict[int, Connection],
        answers: dict[bytes, tuple[int, int, int, bool]],
        closings: list[int],
        launches: Launches,
        rows: Rows,
        keep: bytes,
        close: bytes,
        pick: Callable[[int, int], Address],
        lengths: Callable[[int], int] | None,
        life: int,
        timeout_ns: int,
        first_deadline_ns: int,
        drain_grace_ns: int,
        most_draining: int,
        launches_itself: bool,
        on_idle: Callable[[int], None],
        on_ready: Callable[[list[tuple[int, int]]], None],
        on_opening: Callable[[int, int, int, int, int], None],
        on_launch: Callable[[Connection, int, int], None],
        on_sending: Callable[[Connection, int, int, int], None],
        on_reading: Callable[[Connection, int, bytes, int, int], None],
        on_end: Callable[[Connection, int, int], None],
        drain: Callable[[Connection], None],
        discard: Callable[[Connection, int], None],
    ) -> None: ...
    def serve(self) -> bool: ...
