"""``weighbridge``, and ``python -m weighbridge``: the command line in a process of its own."""

from __future__ import annotations

import sys

from weighbridge.shadows import refuse_shadows


def run() -> int:
    """Run the command line, if its packages are its own, and return the exit code."""
    try:
        refuse_shadows()
    except ImportError as error:
        sys.stderr.write(f"weighbridge: {error}\n")
        return 2
    from sampler.cli.__main__ import run as run_here  # noqa: PLC0415 - after the look at it

    return run_here()


if __name__ == "__main__":
    sys.exit(run())
