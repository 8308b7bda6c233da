"""``python -m sampler.cli`` is ``weighbridge``."""

from __future__ import annotations

import sys

from sampler.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
