"""``weighbridge``, and ``python -m sampler.cli``: the command line in a process of its own."""

from __future__ import annotations

import gc
import os
import sys

_COLLECT_AFTER = 100_000


def run() -> int:
    """Run the command line, and do with the process what a library must not do.

    Importing makes objects by the ten thousand and hardly any garbage: the collector is told
    to look less often, and not at all at the end. A pool of threads for linear algebra is not
    started, as there is none here that would pay for it.
    """
    gc.set_threshold(_COLLECT_AFTER, 10, 10)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from sampler.cli.entry import main  # noqa: PLC0415 - after the threshold is set

    try:
        return main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(run())
