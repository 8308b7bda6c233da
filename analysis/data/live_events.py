"""What a continuous weighing tells: the events of its stream.

They are the lines of ``events.jsonl`` in the folder of a run, and what a page is sent: each is a
JSON object with its kind under ``event``, a sequence number without gaps, and its time. A reader
ignores keys that it does not know. Times and shares are as in `analysis.data.live`, whose `to_line`
writes them.
"""

from __future__ import annotations

import msgspec

from analysis.data.live import Alarm, Change, LiveState  # noqa: TC001 - msgspec resolves the fields


class Told(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """An event of the stream.

    Parameters
    ----------
    seq : int
        From 1, without gaps, over all targets of a process; a new run goes on counting.
    at : float
        When it was told.
    target : str
        Name of the target.
    """

    seq: int
    at: float
    target: str


class StateTold(Told, frozen=True, kw_only=True, tag="state"):
    """The state, once a second and whenever it turns; most of its fields change slowly."""

    state: LiveState


class BucketTold(Told, frozen=True, kw_only=True, tag="bucket"):
    """What was sent within a time that is over.

    Parameters
    ----------
    since, width_s : float
        Its beginning, and its length [s]: 1, 10 or 300.
    counts : dict of str to int
        First answers by label; `OTHER` for the labels beyond `MOST_LABELS`, the empty string for
        those without one.
    share, interval : dict
        By expected label, as it stood at the end of the bucket: the share in the stretch, and its
        confidence sequence. Empty where nothing was judged.
    is_judged : bool
        Whether all of it was judged.
    """

    since: float
    width_s: float
    counts: dict[str, int]
    share: dict[str, float]
    interval: dict[str, tuple[float, float]]
    is_judged: bool = True


class ChangeTold(Told, frozen=True, kw_only=True, tag="change"):
    """What is expected changed, or the data plane followed."""

    change: Change


class AlarmTold(Told, frozen=True, kw_only=True, tag="alarm"):
    """The split departed."""

    alarm: Alarm


class NoteTold(Told, frozen=True, kw_only=True, tag="note"):
    """Something else worth a line.

    Parameters
    ----------
    kind : str
        ``start``, ``turn`` (of the state), ``cause`` (of a drift), ``recovered``, ``blind``,
        ``rotate``, ``restart`` (of the sampling after a pause), ``warning`` or ``end``.
    text : str
        One sentence.
    """

    kind: str
    text: str


Event = StateTold | BucketTold | ChangeTold | AlarmTold | NoteTold

_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def event_of(line: bytes | str) -> Event:
    """Read an event from its line.

    Raises
    ------
    ValueError
        If it is none: not JSON, of an unknown kind, or with a field that is missing or of
        another type.
    """
    return _DECODER.decode(line)
