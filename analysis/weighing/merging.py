"""Several vantages, one stream: samples in the order in which they were planned.

    merger = Merger(2)
    merger.lease(0, 20)               # vantage 0 may launch 20 requests by now
    merger.seal(0, 3, batch)          # all that it planned before slice 3 is here
    merger.seal(1, 4, other)
    merged = merger.take()            # slices 0 to 2 of both

How it works. The time of a run is cut into slices of `SLICE_NS`, by when requests were *planned*.
Each vantage seals its slices one after the other, and a slice is handed out when every vantage that
is still there has sealed it. So the merged order is a function of what was planned and of which
vantages were lost, never of when answers arrived: a batch waits for its slowest answer, and the
order of arrival would under-count a slow version at every look
(docs/decisions/0003-judged-in-send-order.md).

A vantage launches nothing that it has no lease for. If it is lost, of what it had not sealed only
the lease is known: so many requests were sent at most. Each becomes a sample without a label, with
the outcome ``lost``, at the start of its first slice that is not sealed.

Each vantage counts its connections from 0. In the merged stream they are numbered as they come, so
that there, too, a connection that was opened later has a higher number.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.data.batch import ABSENT, COLUMNS, Batch, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

SLICE_NS = 250_000_000
"""Length of a slice [ns]; a verdict waits until all vantages have sealed it."""
_WORKER = 40  # bits of a connection's number, below those of its worker
_DICTIONARIES = {"label": "labels", "replica": "replicas", "remote": "remotes"}


@dataclass(slots=True)
class _Vantage:
    """What is known of one vantage.

    Parameters
    ----------
    sealed : int
        Slices that are complete.
    leased : int
        Requests that it may have launched.
    rows : int
        Samples that it sealed.
    is_live : bool
        Whether more may come.
    lost : int
        Requests that may have been sent and will never be known.
    planned_ns : int
        Latest plan of what it sealed [ns].
    waiting : deque of (planned, batch)
        What waits for the other vantages.
    """

    sealed: int = 0
    leased: int = 0
    rows: int = 0
    is_live: bool = True
    lost: int = 0
    planned_ns: int = 0
    waiting: deque[tuple[NDArray[np.int64], Batch]] = field(default_factory=deque)


class Merger:
    """Merges what several vantages sampled; pure, it knows neither clock nor network.

    Parameters
    ----------
    vantages : int
        How many there are, >= 1; their numbers become the column ``worker``.
    counts_lost : bool, default True
        Whether lost requests become samples without a label. False leaves them out: only for
        losses that are known to have nothing to do with the target.
    """

    def __init__(self, vantages: int, *, counts_lost: bool = True) -> None:
        if vantages < 1:
            raise ValueError(f"expected at least one vantage, got {vantages}")
        self._vantages = [_Vantage() for _ in range(vantages)]
        self._counts_lost = counts_lost
        self._names: dict[str, dict[str, int]] = {name: {} for name in _DICTIONARIES}
        self._first = 0
        self._connections = 0
        self._kept: dict[int, int] = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come: what there is, `take` returns."""
        return not any(each.is_live for each in self._vantages)

    def rows(self, vantage: int) -> int:
        """Return the samples that a vantage sealed."""
        return self._vantages[vantage].rows

    def sealed(self, vantage: int) -> int:
        """Return the slices that a vantage sealed."""
        return self._vantages[vantage].sealed

    def lost(self, vantage: int) -> int:
        """Return the requests that a lost vantage may have sent, and of which nothing is known."""
        return self._vantages[vantage].lost

    def lease(self, vantage: int, launches: int) -> None:
        """Let a vantage launch up to so many requests, counted from the start of the run."""
        each = self._vantages[vantage]
        each.leased = max(each.leased, launches)

    def seal(self, vantage: int, sealed: int, *batches: Batch | None) -> None:
        """Take what a vantage planned before slice `sealed`, and had not sealed before.

        What a vantage seals after it was lost is left out.

        Raises
        ------
        ValueError
            If a sample belongs to a slice that is sealed already, or to none of these.
        """
        each = self._vantages[vantage]
        if not each.is_live:
            return
        for batch in filter(None, batches):
            slices, planned = sliced(batch.scheduled_ns, each.planned_ns)
            if not each.sealed <= slices[0] <= slices[-1] < sealed:
                raise ValueError(
                    f"vantage {vantage}: expected plans of the slices from {each.sealed} to before "
                    f"{sealed}, got {slices[0]} to {slices[-1]}"
                )
            each.planned_ns = int(planned[-1])
            each.rows += len(batch)
            each.waiting.append((planned, batch))
        each.sealed = max(each.sealed, sealed)

    def end(self, vantage: int) -> None:
        """Note that a vantage has sealed all that it launched: nobody waits for it any more."""
        self._vantages[vantage].is_live = False

    def lose(self, vantage: int) -> int:
        """Go on without a vantage; return the requests of which nothing will be known."""
        each = self._vantages[vantage]
        if not each.is_live:
            return 0
        each.is_live = False
        each.lost = max(each.leased - each.rows, 0)
        if each.lost and self._counts_lost:
            lost = _lost(each.lost, each.sealed * SLICE_NS)
            each.waiting.append((lost.scheduled_ns, lost))
        return each.lost

    def take(self) -> Batch | None:
        """Return the slices that every live vantage has sealed, in order; None without samples."""
        live = [each.sealed for each in self._vantages if each.is_live]
        end_ns = min(live) * SLICE_NS if live else None
        parts = [
            (worker, *part)
            for worker, each in enumerate(self._vantages)
            for part in _before(each.waiting, end_ns)
        ]
        if not parts:
            return None
        planned = np.concatenate([planned for _, planned, _ in parts])
        order = np.argsort(planned, kind="stable")  # equal plans: in the order of the vantages
        batch = self._merged(parts, order)
        self._first += len(batch)
        return batch

    def _merged(
        self, parts: Sequence[tuple[int, NDArray[np.int64], Batch]], order: NDArray[np.intp]
    ) -> Batch:
        columns: dict[str, Any] = {}
        for name in COLUMNS:
            pieces: Iterable[NDArray[Any]] = (getattr(each, name) for _, _, each in parts)
            if name == "worker":
                pieces = (np.full(len(each), worker, dtype=np.uint16) for worker, _, each in parts)
            elif name in _DICTIONARIES:
                pieces = (self._coded(name, each) for _, _, each in parts)
            columns[name] = np.concatenate([*pieces])[order]
        columns["connection"] = self._numbered(
            columns["worker"].astype(np.int64) << _WORKER | columns["connection"],
            columns["planned"] == 1,
        )
        columns |= {_DICTIONARIES[name]: tuple(codes) for name, codes in self._names.items()}
        return Batch(first=self._first, **columns)

    def _numbered(
        self, connection: NDArray[np.int64], is_alone: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Give each connection its number in the run; of those with one request none is kept."""
        if is_alone.all():
            numbers = np.arange(self._connections, self._connections + len(connection))
        else:
            numbers = np.zeros(len(connection), dtype=np.int64)
            new = self._connections
            for row, (key, alone) in enumerate(
                zip(connection.tolist(), is_alone.tolist(), strict=True)
            ):
                numbers[row] = new if alone else self._kept.setdefault(key, new)
                new = max(new, int(numbers[row]) + 1)
        self._connections = max(self._connections, int(numbers.max()) + 1)
        return numbers

    def _coded(self, name: str, batch: Batch) -> NDArray[np.int32]:
        """Return a column of codes into the dictionaries that all vantages share."""
        known = self._names[name]
        codes = [known.setdefault(each, len(known)) for each in getattr(batch, _DICTIONARIES[name])]
        # One more at the end: the code of what is absent stays what it is.
        shared: NDArray[np.int32] = np.array([*codes, ABSENT], dtype=np.int32)[getattr(batch, name)]
        return shared


def sliced(
    planned_ns: NDArray[np.int64], before_ns: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the slice (n,) of each plan, and the plans (n,), which never go back [ns].

    Parameters
    ----------
    planned_ns : (n,) int64
        In the order of the launches, which holds where a plan seems to go back.
    before_ns : int
        The latest plan of what was launched before [ns].
    """
    planned = np.maximum.accumulate(np.maximum(planned_ns, before_ns))
    return planned // SLICE_NS, planned


class Slicer:
    """Cuts the batches of one vantage where its slices end.

    Parameters
    ----------
    seal : callable
        Is told how many slices are complete, and the batches of those that were not before.
    """

    def __init__(self, seal: Callable[..., None]) -> None:
        self._seal = seal
        self._sealed = 0
        self._planned_ns = 0
        self._kept: list[Batch] = []

    @property
    def sealed(self) -> int:
        """Slices that are complete."""
        return self._sealed

    def take(self, batch: Batch) -> None:
        """Take the next samples; the slices before that of the last one are then complete."""
        if not len(batch):
            return
        slices, planned = sliced(batch.scheduled_ns, self._planned_ns)
        self._planned_ns = int(planned[-1])
        cut = int(np.searchsorted(slices, slices[-1]))
        if cut:
            self._kept.append(batch[:cut])
        self.complete(int(slices[-1]))
        self._kept.append(batch[cut:])

    def complete(self, slices: int | None = None) -> None:
        """Seal so many slices, in which nothing more will be planned; None seals what is left."""
        upto = self._planned_ns // SLICE_NS + 1 if slices is None else slices
        if upto > self._sealed:
            batches, self._kept, self._sealed = self._kept, [], upto
            self._seal(upto, *batches)


def merged(runs: Sequence[Iterable[Batch]]) -> Iterator[Batch]:
    """Merge runs that are over, as a live run would merge its vantages.

    Parameters
    ----------
    runs : sequence of iterable of Batch
        Each in its send order, in a time of its own that starts with 0.

    Yields
    ------
    Batch
        In constant memory, as far as the runs were planned alike.
    """
    merger = Merger(len(runs))
    sources = [(iter(each), Slicer(partial(merger.seal, i))) for i, each in enumerate(runs)]
    live = set(range(len(runs)))
    while live:
        vantage = min(live, key=lambda each: (sources[each][1].sealed, each))
        source, slicer = sources[vantage]
        batch = next(source, None)
        if batch is None:
            slicer.complete()
            merger.end(vantage)
            live.remove(vantage)
        else:
            slicer.take(batch)
        if (ready := merger.take()) is not None:
            yield ready


def _before(
    waiting: deque[tuple[NDArray[np.int64], Batch]], end_ns: int | None
) -> Iterator[tuple[NDArray[np.int64], Batch]]:
    """Take what was planned before an instant, None being all."""
    while waiting:
        planned, batch = waiting[0]
        cut = len(planned) if end_ns is None else int(np.searchsorted(planned, end_ns))
        if not cut:
            return
        waiting.popleft()
        if cut < len(planned):
            waiting.appendleft((planned[cut:], batch[cut:]))
        yield planned[:cut], batch[:cut]


def _lost(n: int, planned_ns: int) -> Batch:
    """Return requests that nothing is known of: each as a connection of its own, without answer."""
    instants = np.full(n, planned_ns, dtype=np.int64)
    never = np.full(n, ABSENT, dtype=np.int64)
    absent = np.full(n, ABSENT, dtype=np.int32)
    return Batch(
        first=0,
        scheduled_ns=instants,
        sent_ns=instants,
        first_byte_ns=never,
        done_ns=never,
        connection=np.zeros(n, dtype=np.int64),
        ordinal=np.zeros(n, dtype=np.int32),
        label=absent,
        replica=absent,
        status=np.zeros(n, dtype=np.int16),
        outcome=np.full(n, Outcome.LOST, dtype=np.uint8),
        worker=np.zeros(n, dtype=np.uint16),
        planned=np.ones(n, dtype=np.int32),
        labels=(),
    )
