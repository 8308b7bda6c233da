"""Many runs against targets that give no label: every one ends alike, after few requests.

    python -m tests.benchmarks.poor_targets [RUNS]

Writes ``reports/poor-targets.md``. Ends with 1 if two runs of a target ended with different codes,
or one without a label sent more than `MOST`.
"""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import TYPE_CHECKING

from sampler.engine.probing import MOST
from tests.benchmarks.provenance import REPOSITORY, provenance
from tests.poor_targets import NAMES, STARTING, ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.poor_targets import Ending

RUNS = 200


def row(name: str, endings: Sequence[Ending]) -> str:
    """Return the row of a target: codes with their numbers of runs, requests, and times."""
    codes = ", ".join(
        f"{code:d} ({n} runs)" for code, n in Counter(e.code for e in endings).items()
    )
    sent, times = [e.sent for e in endings], sorted(e.duration_s for e in endings)
    return (
        f"| {name} | {codes} | {min(sent)} to {max(sent)} | {times[len(times) // 2]:.2f} | "
        f"{times[-1]:.2f} |"
    )


def endings_of(name: str, runs: int) -> list[Ending]:
    """Check one target many times."""
    return [ending(name, seed) for seed in range(runs)]


def main(runs: int) -> int:
    """Run, write the table, and return the exit code."""
    made = provenance({})
    names = (*NAMES, STARTING)
    # Most of the time is spent waiting: all targets at once.
    with ProcessPoolExecutor(len(names)) as pool:
        results = dict(zip(names, pool.map(endings_of, names, repeat(runs)), strict=True))
    rows = [row(name, endings) for name, endings in results.items()]
    text = "\n".join([
        "# Targets that give no label", "",
        f"{runs} checks of each, by `make poor-targets`.", "",
        f"Measured at {made['measured_at']}, commit {made['commit']}.", "",
        "| target | exit codes | requests | time, median [s] | longest [s] |",
        "| --- | --- | --- | --- | --- |", *rows, "",
    ])  # fmt: skip
    (REPOSITORY / "reports" / "poor-targets.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    is_alike = all(len({e.code for e in endings}) == 1 for endings in results.values())
    is_little = all(e.sent <= MOST for name in NAMES for e in results[name])
    return 0 if is_alike and is_little else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS))
