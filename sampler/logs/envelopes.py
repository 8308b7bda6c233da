"""What lines are put into on their way from a program to a file, and how they come out again.

``kubectl logs --timestamps`` and ``--prefix``, the container runtimes' own files (CRI, Docker),
``docker compose logs``, stern, syslog, fluentd, and JSON records with the line in one of their
members. Which of them a log has is found in its sample; they may stand inside each other.

Sources: Kubernetes, ``staging/src/k8s.io/kubectl/pkg/cmd/logs`` and
``pkg/kubelet/kuberuntime/logs``; Docker, "JSON File logging driver"; RFC 3164 and RFC 5424;
fluentd, ``out_stdout`` and ``formatter_out_file``; journald, "Journal JSON Format".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sampler.logs.reading import LONGEST_LINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)"
# The group `pod` says who wrote the line, `part` that it goes on in the next one ("P").
_PREFIXES = (
    re.compile(r"\[pod/(?P<pod>[^/\]\s]+)/[^\]\s]+\] "),
    re.compile(_STAMP + r" (?:stdout|stderr) (?P<part>[FP])(?: |$)"),
    re.compile(_STAMP + r" (?!stdout |stderr )"),
    re.compile(r"(?P<pod>[A-Za-z0-9][\w.-]*) +\| "),
    re.compile(r"(?P<pod>[a-z0-9][a-z0-9.-]*-[a-z0-9]{5,10}(?:-[a-z0-9]{5})?) [a-z0-9-]+ "),
    re.compile(r"<\d{1,3}>1 \S+ \S+ \S+ \S+ \S+ (?:-|\[[^\]]*\]) "),
    re.compile(
        r"(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|" + _STAMP + r") "
        r"(?:\S+ )?[\w./-]+(?:\[\d+\])?: "  # HAProxy leaves out the host
    ),
    re.compile(
        r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)? ?(?:Z|[+-]\d\d:?\d\d)[ \t]\S+?:?[ \t](?=\{)"
    ),
)  # fmt: skip
_MEMBERS = ("log", "message", "MESSAGE", "textPayload", "line", "@message", "_raw")
_DOCKER = {"log", "stream", "time"}
_DEEPEST = 4


class Envelope:
    """The layers around each line, the outermost first.

    Parameters
    ----------
    layers : sequence of Pattern or None
        A prefix, or None for a JSON record.

    Attributes
    ----------
    pod : str or None
        Who wrote the line that was taken out last, where a layer says so.
    """

    def __init__(self, layers: Sequence[re.Pattern[str] | None]) -> None:
        self.layers = tuple(layers)
        self.pod: str | None = None

    def opened(self, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """Yield what is in the envelopes; a line that has none stays as it is."""
        begun = ""
        for number, line in lines:
            text, goes_on = self._open(line)
            if goes_on and len(begun) < LONGEST_LINE:
                begun += text
                continue
            yield number, begun + text
            begun = ""
        if begun:
            yield number, begun

    def _open(self, line: str) -> tuple[str, bool]:
        goes_on = False
        for layer in self.layers:
            if layer is None:
                inner = _record(line)
                if inner is not None:
                    line, part = inner
                    goes_on = goes_on or part
            elif (match := layer.match(line)) is not None:
                line = line[match.end() :]
                found = match.groupdict()
                self.pod = found.get("pod", self.pod)
                goes_on = goes_on or found.get("part") == "P"
        return line, goes_on


def envelopes(sample: Sequence[str]) -> Iterator[Envelope]:
    """Yield the envelopes that most lines of a sample can be taken out of, from none inwards."""
    layers: list[re.Pattern[str] | None] = []
    lines = [line for line in sample if line]
    for _ in range(_DEEPEST):
        yield Envelope(layers)
        candidates = (None, *_PREFIXES)
        fits = [[_fits(each, line) for line in lines] for each in candidates]
        # Of two that fit as many lines, the one that says more about them.
        most = max(fits, key=lambda each: (sum(map(bool, each)), sum(each)))
        if 2 * sum(map(bool, most)) <= len(lines):
            return
        layers.append(candidates[fits.index(most)])
        outer = Envelope(layers[-1:])
        lines = [text for _, text in outer.opened(enumerate(lines)) if text]
    yield Envelope(layers)


def _fits(layer: re.Pattern[str] | None, line: str) -> int:
    """Return how much of a line is the layer, 0 if it is not in it."""
    if layer is None:
        return 0 if _record(line) is None else len(line)
    match = layer.match(line)
    return 0 if match is None else match.end()


def _record(line: str) -> tuple[str, bool] | None:
    """Return the line in a JSON record, and whether it goes on in the next; None if none."""
    if not line.startswith("{") or len(line) >= LONGEST_LINE:
        return None
    import msgspec  # noqa: PLC0415 - needed only where JSON is read

    try:
        record = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    inner = next((record[name] for name in _MEMBERS if isinstance(record.get(name), str)), None)
    if inner is None:
        return None
    is_part = record.keys() == _DOCKER and not inner.endswith("\n")
    return inner.rstrip("\r\n"), is_part
