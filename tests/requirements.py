"""The real parts that the tests run against, and how to get each of them.

Standard library only: ``make test`` asks this module before anything is installed.
``python3 tests/requirements.py`` prints what is missing and ends with 1 if anything is;
with ``ALLOW_MISSING=1`` in the environment it prints the same and ends with 0.
``python3 tests/requirements.py --packages`` prints the Debian packages of the missing parts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

# Debian keeps these in directories that are not on the PATH of an ordinary user.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


@dataclass(frozen=True, slots=True)
class Part:
    """A program that the tests run, and the Debian package that brings it."""

    program: str
    package: str
    purpose: str


PARTS = (
    Part("nginx", "nginx-light", "the pods behind the Service"),
    Part("iptables-restore", "iptables", "the rules that kube-proxy writes"),
    Part("ip", "iproute2", "the network namespaces"),
    Part("wrk", "wrk", "the load generator that ours is compared with"),
)


def path_of(program: str) -> str | None:
    """Full path of `program`, or None."""
    return shutil.which(program, path=SEARCH_PATH)


def missing_parts() -> list[Part]:
    """Return the programs that this machine lacks."""
    return [part for part in PARTS if path_of(part.program) is None]


@cache
def missing() -> tuple[str, ...]:
    """Say what the tests of the network lack here, one sentence each; empty if nothing."""
    sentences = [
        f"{part.program} is missing ({part.purpose}): apt-get install {part.package}"
        for part in missing_parts()
    ]
    if path_of("ip") is not None:
        sentences += _missing_rights()
    return tuple(sentences)


def _missing_rights() -> list[str]:
    if os.geteuid() != 0:
        return ["the tests of the network make network namespaces: run them as root, as with sudo"]
    # Root in a container may still lack the capability, and only trying tells.
    name = f"weighbridge-probe-{os.getpid()}"
    added = _ip("netns", "add", name)
    if added.returncode == 0:
        _ip("netns", "delete", name)
        return []
    why = added.stderr.strip()
    return [f"network namespaces cannot be made here ({why}); a container needs --privileged"]


def _ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = path_of("ip") or "ip"
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, timeout=30
    )


def allow_missing() -> bool:
    """Whether the user accepts that tests are skipped for want of a part."""
    return os.environ.get("ALLOW_MISSING", "") not in {"", "0"}


def main(arguments: list[str]) -> int:
    """Print what is missing; the exit code says whether the tests may run."""
    if arguments == ["--packages"]:
        print(*sorted({part.package for part in missing_parts()}))
        return 0
    for sentence in missing():
        print(f"missing here: {sentence}", file=sys.stderr)
    if missing() and not allow_missing():
        print("ALLOW_MISSING=1 make test skips the tests that need them", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
