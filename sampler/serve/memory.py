"""What a session leaves beside its run: a server that starts again tells callers the truth."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sampler.base.errors import UsageError
from sampler.serve.gates import Ask
from sampler.serve.outcome import Outcome
from sampler.serve.sessions import MOST_KEYS, Session
from sampler.store.files import read_object, whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sampler.serve.gates import Gate

SESSION = "session.json"
SCHEMA = "weighbridge.session/1"
_LOCK = ".serve.lock"
_ORPHANS_S = 30.0
"""How long weighers of a server that was killed may take to write their runs [s]."""


def to_document(session: Session, undecided_s: float | None) -> dict[str, Any]:
    """Describe a session; who ends it adds what came of it.

    Parameters
    ----------
    session : Session
    undecided_s : float or None
        Of its key, as `Sessions.undecided_s`.
    """
    return {
        "schema": SCHEMA,
        "id": session.id,
        "gate": session.gate.name,
        "asks": session.gate.fingerprint,
        **asdict(session.ask),
        "earlier": session.earlier,
        "created_at": session.created_at,
        "notes": session.notes,
        "is_past": session.is_past,
        "undecided_at": None if undecided_s is None else time.time() - undecided_s,
        "ended_at": None,
        "outcome": None,
    }


def save(folder: Path, document: Mapping[str, Any]) -> None:
    """Write the description of a session into the folder of its run.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with whole(folder / SESSION) as part:
        part.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def save_end(session: Session, undecided_s: float | None, ago_s: float) -> None:
    """Write what came of a session; a disk that is full costs the memory of it alone.

    Parameters
    ----------
    session : Session
        Has a run.
    undecided_s : float or None
        As for `to_document`.
    ago_s : float
        How long ago it ended [s].
    """
    outcome = None if session.outcome is None else session.outcome.to_document()
    end = {"ended_at": time.time() - ago_s, "outcome": outcome}
    with suppress(OSError):
        save(Path(session.run), to_document(session, undecided_s) | end)


@dataclass(frozen=True, slots=True)
class Stored:
    """A session of an earlier process.

    Parameters
    ----------
    session : Session
    ago_s : float or None
        Seconds since its end; None if it has none: its process was killed.
    is_current : bool
        Whether its gate asked what it asks now.
    undecided_s : float or None
        For how long its key is undecided [s].
    """

    session: Session
    ago_s: float | None
    is_current: bool
    undecided_s: float | None


def stored(base: Path, gates: Mapping[str, Gate]) -> list[Stored]:
    """Return the newest sessions of earlier processes, the oldest first.

    Parameters
    ----------
    base : Path
        Folder of all runs.
    gates : mapping of str to Gate
        Those of other gates are passed over.

    """
    names = sorted(path.parent.name for path in base.glob(f"*/{SESSION}"))
    found: list[Stored] = []
    for name in names[-MOST_KEYS:]:
        with suppress(UsageError, OSError, TypeError, ValueError, KeyError):
            document = read_object(base / name / SESSION)
            gate = gates.get(document["gate"])
            if gate is not None:
                found.append(_session(document, gate, base / name))
    return found


def _session(document: Mapping[str, Any], gate: Gate, folder: Path) -> Stored:
    ask = Ask(
        str(document["key"]),
        str(document["expect"]),
        document["step"],
        str(document["url"]),
        bool(document["is_alone"]),
    )
    session = Session(
        str(document["id"]),
        gate,
        ask,
        int(document["earlier"]),
        str(document["created_at"]),
        run=str(folder),
        notes=[str(each) for each in document["notes"]],
        is_past=bool(document.get("is_past", False)),
    )
    is_current = document["asks"] == gate.fingerprint
    undecided_s = _ago(document.get("undecided_at"))
    if document["outcome"] is None:
        return Stored(session, None, is_current, undecided_s)
    session.outcome = Outcome.from_document(document["outcome"])
    return Stored(session, _ago(document["ended_at"]), is_current, undecided_s)


def _ago(at: object) -> float | None:
    return None if at is None else max(time.time() - float(str(at)), 0.0)


@asynccontextmanager
async def locked(base: Path) -> AsyncIterator[int | None]:
    """Hold the folder of runs; yield what weighers inherit, so that they hold it while they write.

    Raises
    ------
    UsageError
        If it cannot be made, or another server holds it.
    """
    with _lock_file(base) as file:
        try:
            import fcntl  # noqa: PLC0415 - where it exists
        except ImportError:
            yield None
            return
        give_up_at = time.monotonic() + _ORPHANS_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > give_up_at:
                    raise UsageError(
                        f"--out {base} is in use by another server",
                        hint="end it, or name another folder",
                    ) from error
                await asyncio.sleep(0.1)
        yield file.fileno()


def _lock_file(base: Path) -> IO[bytes]:
    try:
        base.mkdir(parents=True, exist_ok=True)
        return (base / _LOCK).open("ab")
    except OSError as error:
        raise UsageError(
            f"--out {base}: {error.strerror}", hint="name a folder that can be written to"
        ) from error


def rfc3339() -> str:
    """Return the time of day."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
