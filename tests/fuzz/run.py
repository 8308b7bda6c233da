"""Fuzz the response reader: ``python -m tests.fuzz.run --inputs 1000000``.

Inputs are mutations of the corpus, drawn from a seed, so that a finding can be repeated. What
breaks the reader is kept as a file of the corpus, which every later run begins with.
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
from random import Random

from tests.fuzz.reading import CORPUS, Broken, check, mutate, seeds

_HUNG_S = 30  # for a thousand inputs, which take a tenth of a second
_MOST_GROWTH_KIB = 65_536


def main() -> int:
    """Run; give the exit code."""
    parser = argparse.ArgumentParser(description="Fuzz the response reader.")
    parser.add_argument("--inputs", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), metavar="N")
    arguments = parser.parse_args()
    print(f"fuzzing the response reader: {arguments.inputs} inputs, --seed {arguments.seed}")
    started = time.monotonic()
    counts, broken = fuzz(arguments.inputs, arguments.seed)
    seconds = time.monotonic() - started
    ends = ", ".join(f"{n} {end}" for end, n in counts.most_common())
    print(f"{counts.total()} inputs in {seconds:.0f} s: {ends}")
    if broken is not None:
        data, reason = broken
        path = CORPUS / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        print(f"broken by {path}: {reason}", file=sys.stderr)
        return 1
    return 0


def fuzz(inputs: int, seed: int) -> tuple[Counter[str], tuple[bytes, str] | None]:
    """Check so many inputs; give their ends, and the first that broke the reader, and how."""
    random = Random(seed)
    corpus = seeds()
    counts: Counter[str] = Counter()
    before_kib = 0
    try:
        for number in range(inputs):
            if number % 1_000 == 0:
                faulthandler.dump_traceback_later(_HUNG_S, exit=True)
            if number == inputs // 10:
                before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            data = corpus[number] if number < len(corpus) else mutate(random, corpus)
            try:
                counts[check(data, random.randint(1, 64), bodyless=random.random() < 0.1)] += 1
            except Exception as error:  # noqa: BLE001 - any other one is the finding
                return counts, (data, f"{type(error).__name__}: {error}")
    finally:
        faulthandler.cancel_dump_traceback_later()
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    if grown_kib > _MOST_GROWTH_KIB:
        raise Broken(f"memory grew by {grown_kib} KiB after the first tenth of the inputs")
    return counts, None


if __name__ == "__main__":
    sys.exit(main())
