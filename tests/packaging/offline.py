"""Install this repository as a user does, with what the tests have: no index is asked."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip takes the value for that of build_isolation
    "PYTHONPATH": sysconfig.get_path("purelib"),
    "PYTHONDONTWRITEBYTECODE": "1",
    # python3 of the same version, for which the dependencies were built.
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
}
"""Variables with which pip builds and installs weighbridge alone, and finds the rest."""
