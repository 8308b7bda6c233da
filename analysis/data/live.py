"""The state of a continuous weighing: the document ``weighbridge.watch/1``.

Everything about one target at one moment. A reader ignores keys that it does not know; a key is
added without a new number of the schema. The events are in `analysis.data.live_events`.

All times are seconds since 1970 (UTC); all shares lie in [0, 1].
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import TYPE_CHECKING

import msgspec

from analysis.data.health import Health  # noqa: TC001 - msgspec resolves the fields of the state
from analysis.data.report import Verdict  # noqa: TC001 - as above

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = "weighbridge.watch/1"

MOST_LABELS = 20
"""Labels with a count of their own: the expected ones first, then those that came most often.
All others are `analysis.data.batch.OTHER`."""
MOST_CHANGES = 20
"""Changes and alarms that a state has: the newest."""
MOST_REPLICAS = 50
"""Replicas that a state has, the busiest first."""


@unique
class State(StrEnum):
    """What a continuous weighing knows of its target now."""

    STARTING = "STARTING"
    """Weighed, and not proven yet."""
    OK = "OK"
    """The current stretch has passed."""
    DRIFT = "DRIFT"
    """The split has departed from its band."""
    RECOVERING = "RECOVERING"
    """Inside the band again after a drift, and not proven yet."""
    CHANGING = "CHANGING"
    """The expected split has changed, and the data plane settles; nothing is judged."""
    BLIND = "BLIND"
    """Nothing can be judged: no labels, no sight of the cluster, or too much load."""


class LiveLabel(msgspec.Struct, frozen=True, kw_only=True):
    """One label in the current stretch.

    Parameters
    ----------
    label : str
    declared, configured, endpoints : float or None
        Its share by manifests, by the routes and workloads of the cluster, and by the endpoints
        that get traffic; None where that is not known.
    expected : float or None
        The share that it is judged against; None for a label that is not expected.
    band : (float, float) or None
        Accepted shares; None likewise.
    share : float
        What was observed: its part of the labelled connections of the stretch; 0 without any.
    interval : (float, float)
        Confidence sequence of its share in the stretch, missing labels at their worst. It holds
        at all looks together.
    recent : float or None
        Its part of the last 1 000 labelled connections; None before the first.
    recent_interval : (float, float) or None
        Wilson's interval of that, at 99 %: of one look, not of all together.
    connections, total : int
        Judged connections that it answered, in the stretch and in all (of connections with
        several answers, those whose first answer it gave).
    """

    label: str
    declared: float | None = None
    configured: float | None = None
    endpoints: float | None = None
    expected: float | None = None
    band: tuple[float, float] | None = None
    share: float = 0.0
    interval: tuple[float, float] = (0.0, 1.0)
    recent: float | None = None
    recent_interval: tuple[float, float] | None = None
    connections: int = 0
    total: int = 0


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """What is judged together: since the last change of the expectation, alarm or recovery.

    Parameters
    ----------
    since : float
    connections : int
        Judged.
    unlabelled : float
        Those without a label; of connections with several answers, the sum of their parts.
    passed_after : int or None
        Connections after which it passed; None if it has not.
    confidence : float
        Of the intervals.
    """

    since: float
    connections: int = 0
    unlabelled: float = 0.0
    passed_after: int | None = None
    confidence: float = 0.99


class Detector(msgspec.Struct, frozen=True, kw_only=True):
    """How near an alarm is, and what an alarm is worth.

    Parameters
    ----------
    evidence, threshold : float
        Logarithms of the evidence of a departure, and of that which raises an alarm [nats].
    false_alarm_s : float
        Mean time to a false alarm at the asked rate, at least [s].
    connections : float
        The same in connections.
    words : str
        The same in a sentence.
    """

    evidence: float
    threshold: float
    false_alarm_s: float
    connections: float
    words: str


class ChangePoint(msgspec.Struct, frozen=True, kw_only=True):
    """When the split departed, as an alarm locates it.

    Parameters
    ----------
    at : float
        When the first connection after the change was sent, at best.
    range : (float, float)
        Times that are nearly as likely: within 2 nats.
    label : str
        The label whose share departed most; empty for missing labels.
    before, after : float or None
        Its share from the beginning of the stretch to the change, and from there to the alarm;
        None without a connection.
    connections : int
        From the change to the alarm.
    """

    at: float
    range: tuple[float, float]
    label: str
    before: float | None
    after: float | None
    connections: int


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change of what is expected, or of the endpoints.

    Parameters
    ----------
    at : float
        When it was noticed.
    kind : str
        ``weight``, ``endpoints``, or ``settled`` for the end of the time to settle.
    text : str
        One sentence.
    expected : dict of str to float or None
        The expected shares from then on; None where they are the same, or unknown.
    lag_s : float or None
        With ``settled``: how long after the change the data plane followed [s], if that was seen.
    """

    at: float
    kind: str
    text: str
    expected: dict[str, float] | None = None
    lag_s: float | None = None


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """A departure that was found.

    Parameters
    ----------
    at : float
        When the connection that proved it was sent.
    kind : str
        ``outside_tolerance``, ``unexpected_label`` or ``too_many_unlabelled``.
    text : str
        One sentence with the numbers.
    cause : str
        What it looks like; empty where nothing fits.
    change : ChangePoint or None
        When it began; None for an unexpected label.
    delay_s : float or None
        From the change to the alarm [s].
    """

    at: float
    kind: str
    text: str
    cause: str = ""
    change: ChangePoint | None = None
    delay_s: float | None = None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A replica, or a zone, in the current stretch.

    Parameters
    ----------
    name : str
    label : str
        The version of a replica; empty for a zone.
    connections : int
    shares : dict of str to float
        With zones: share of each label.
    """

    name: str
    label: str = ""
    connections: int = 0
    shares: dict[str, float] = {}


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What the sampling itself costs.

    Parameters
    ----------
    rate_per_s, asked_per_s : float
        Connections sent per second in the last minute, and as asked.
    cpu_share : float
        Part of one core that this process took in the last minute, all targets together.
    memory_bytes : int
        Resident memory of this process.
    disk_bytes : int
        Of the kept runs.
    shed : int
        Requests that were due and not sent, because all slots were busy.
    pauses : int
        Times that sending waited because the target asked for it.
    is_saturated : bool
        Whether this client cannot keep up, so that times are not those of the target.
    """

    rate_per_s: float
    asked_per_s: float
    cpu_share: float = 0.0
    memory_bytes: int = 0
    disk_bytes: int = 0
    shed: int = 0
    pauses: int = 0
    is_saturated: bool = False


class LiveState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one target at one moment.

    Parameters
    ----------
    target, url : str
        Its name, and what is asked, without secrets.
    run : str
        Id of the run that is being written; empty where none is kept.
    at, started : float
        Now, and when the weighing began.
    state : State
    since : float
        When that state began.
    verdict : Verdict
        FAIL in DRIFT, PASS if the current stretch has passed, INCONCLUSIVE otherwise.
    line : str
        The state in one line for people.
    why : str
        Why nothing is judged, in CHANGING and BLIND; what the departure looks like, in DRIFT.
    labels : list of LiveLabel
        The expected ones in their order, then others.
    stretch : Stretch
    detector : Detector
    connections, requests, unlabelled : int
        In all: judged, sent, and judged without a label.
    outcomes : dict of str to int
        All requests by how they ended (`analysis.data.batch.Outcome`).
    alarms, changes : dict of str to int
        How many there were, by kind.
    last_alarm : Alarm or None
    last_changes : list of Change
        The newest `MOST_CHANGES`, the oldest first.
    lags_s : list of float
        The newest `MOST_CHANGES` convergence lags [s], the oldest first.
    last_judged : float or None
        When the last judged connection was sent.
    health : Health or None
        Canary against stable version in the current stretch.
    replicas, zones : list of Part
        Zones are known to a fleet only.
    cost : Cost
    last_event : int
        Sequence number of the last event before this state.
    schema : str
        The document's name and version.
    """

    target: str
    url: str
    run: str
    at: float
    started: float
    state: State
    since: float
    verdict: Verdict
    line: str
    why: str
    labels: list[LiveLabel]
    stretch: Stretch
    detector: Detector
    connections: int
    requests: int
    unlabelled: int
    outcomes: dict[str, int]
    alarms: dict[str, int]
    changes: dict[str, int]
    last_alarm: Alarm | None
    last_changes: list[Change]
    lags_s: list[float]
    last_judged: float | None
    health: Health | None
    replicas: list[Part]
    cost: Cost
    last_event: int
    zones: list[Part] = []
    schema: str = SCHEMA


_ENCODER = msgspec.json.Encoder()
_STATE: msgspec.json.Decoder[LiveState] = msgspec.json.Decoder(LiveState)


def to_line(told: msgspec.Struct) -> bytes:
    """Return an event, or a state, as one line of JSON without its end.

    A lone surrogate, which a label may hold and UTF-8 has no form for, is written as its escape.
    """
    try:
        return _ENCODER.encode(told)
    except UnicodeEncodeError:
        return _ENCODER.encode(_encodable(msgspec.to_builtins(told)))


def to_lines(states: Iterable[LiveState | None]) -> str:
    """Return the states that are there as a document, a line each."""
    return "".join(f"{to_line(state).decode()}\n" for state in states if state is not None)


def _encodable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    return [_encodable(each) for each in value] if isinstance(value, list | tuple) else value


def state_of(document: bytes | str) -> LiveState:
    """Read a state from its document.

    Raises
    ------
    ValueError
        If it is none: not JSON, or with a field that is missing or of another type, or of another
        schema.
    """
    state = _STATE.decode(document)
    if state.schema != SCHEMA:
        raise ValueError(f"expected the schema {SCHEMA}, got {state.schema!r}")
    return state
