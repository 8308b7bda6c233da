"""Fuzz what reads bytes of others: ``python -m tests.fuzz.run --only responses --inputs 1000000``.

Inputs are mutations of a corpus, drawn from a seed, so that a finding can be repeated. What
breaks a reader is kept as a file of its corpus, which every later run begins with.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import resource
import secrets
import sys
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.fuzz import commands, manifests, reading
from tests.fuzz.reading import Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_HUNG_S = 30  # for so many inputs as take a few seconds at most
_MOST_GROWTH_KIB = 65_536


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader, how its inputs are made, and what must hold of them."""

    what: str
    inputs: int
    at_once: int  # inputs between two looks at the clock
    found: Path
    seeds: Callable[[], list[bytes]]
    mutate: Callable[[Random, Sequence[bytes]], bytes]
    check: Callable[[bytes, Random], str]
    most_growth_kib: int = _MOST_GROWTH_KIB


READERS = {
    "responses": Reader(
        "the response reader",
        *(1_000_000, 1_000, reading.CORPUS),
        *(reading.seeds, reading.mutate, reading.check_drawn),
    ),
    "manifests": Reader(
        "the reader of manifests",
        *(100_000, 10, manifests.FOUND),
        *(manifests.seeds, manifests.mutated, manifests.check),
        most_growth_kib=1 << 20,  # one input in a thousand is as long as may be
    ),
    "logs": Reader(
        "judge, by logs",
        *(30_000, 50, commands.FOUND_LOGS),
        *(commands.logs, commands.mutated, commands.check_log),
        most_growth_kib=1 << 18,
    ),
    "runs": Reader(
        "report and judge, by runs on disk",
        *(10_000, 20, commands.FOUND_RUNS),
        *(commands.runs, commands.mutated_run, commands.check_run),
        most_growth_kib=1 << 18,
    ),
    "configurations": Reader(
        "check, by configurations",
        *(10_000, 20, commands.FOUND_CONFIGURATIONS),
        *(commands.configurations, commands.mutated, commands.check_configuration),
        most_growth_kib=1 << 18,
    ),
}


def main() -> int:
    """Run; give the exit code."""
    parser = argparse.ArgumentParser(description="Fuzz what reads bytes of others.")
    parser.add_argument("--only", choices=READERS, metavar="READER", help=", ".join(READERS))
    parser.add_argument("--inputs", type=int, metavar="N", help="default: as many as usual")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), metavar="N")
    arguments = parser.parse_args()
    names = [arguments.only] if arguments.only else READERS
    return max(run(READERS[name], arguments.inputs, arguments.seed) for name in names)


def run(reader: Reader, inputs: int | None, seed: int) -> int:
    """Fuzz one reader, and say what came of it; give the exit code."""
    inputs = inputs or reader.inputs
    print(f"fuzzing {reader.what}: {inputs} inputs, --seed {seed}")
    started = time.monotonic()
    counts, broken = fuzz(reader, inputs, seed)
    seconds = time.monotonic() - started
    ends = ", ".join(f"{n} {end}" for end, n in counts.most_common())
    print(f"{counts.total()} inputs in {seconds:.0f} s: {ends}")
    if broken is not None:
        data, reason = broken
        reader.found.mkdir(exist_ok=True)
        path = reader.found / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        print(f"broken by {path}: {reason}", file=sys.stderr)
        return 1
    return 0


def fuzz(reader: Reader, inputs: int, seed: int) -> tuple[Counter[str], tuple[bytes, str] | None]:
    """Check so many inputs; give their ends, and the first that broke the reader, and how."""
    random = Random(seed)
    corpus = reader.seeds()
    counts: Counter[str] = Counter()
    before_kib = 0
    try:
        for number in range(inputs):
            if number % reader.at_once == 0:
                faulthandler.dump_traceback_later(_HUNG_S, exit=True)
            if number == inputs // 10:
                before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            data = corpus[number] if number < len(corpus) else reader.mutate(random, corpus)
            try:
                counts[reader.check(data, random)] += 1
            except Exception as error:  # noqa: BLE001 - any other one is the finding
                return counts, (data, f"{type(error).__name__}: {error}")
    finally:
        faulthandler.cancel_dump_traceback_later()
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    if grown_kib > reader.most_growth_kib:
        raise Broken(f"memory grew by {grown_kib} KiB after the first tenth of the inputs")
    return counts, None


if __name__ == "__main__":
    sys.exit(main())
