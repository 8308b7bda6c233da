"""``weighbridge``, and ``python -m sampler.cli``: the command line in a process of its own."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress

from sampler.cli.interrupts import INTERRUPTED, end_quietly
from sampler.cli.streams import occupy_closed

_COLLECT_AFTER = 100_000


def run() -> int:
    """Run the command line with settings for the whole process, which a library must not make.

    Importing makes objects by the ten thousand and hardly any garbage: the collector runs less
    often, and not at all at the end. A pool of threads for linear algebra is not started, as
    nothing here would pay for it.

    Returns
    -------
    int
        The exit code.
    """
    try:
        occupy_closed()
        end_quietly()
        gc.set_threshold(_COLLECT_AFTER, 10, 10)
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from sampler.cli.entry import Abrupt, main  # noqa: PLC0415 - after the threshold is set

        code = main()
        if isinstance(code, Abrupt):
            os._exit(code)
    except KeyboardInterrupt:
        with suppress(OSError):  # nobody may be there to read it
            os.write(2, b"interrupted\n")
        return INTERRUPTED
    else:
        return code
    finally:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(run())
