"""What every test may use: the command line as a user meets it, and the real parts."""

from __future__ import annotations

import errno
import gc
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Protocol

import hypothesis
import pytest

from tests import completeness, left_out, repeatable
from tests.processes import REPOSITORY, WEIGHBRIDGE, completed
from tests.requirements import NO_IPV6

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

# The machines that run this are shared, and a slow example is no wrong example.
hypothesis.settings.register_profile(
    "local", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "ci", hypothesis.settings.get_profile("local"), derandomize=True, print_blob=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

# What a shell, a forge's job, a hook of git or a pod may have set, and programs listen to. Tests
# set what they are about, and all of them ask loopback, where no proxy belongs.
SURROUNDINGS = (
    "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE",
    "PYTHONWARNINGS", "PYTHONIOENCODING", "KUBECONFIG", "NETRC", "TZ",
)  # fmt: skip
SURROUNDINGS_FROM = ("CI_", "GITLAB_", "GITHUB_", "GIT_", "KUBERNETES_")


def pytest_configure(config: pytest.Config) -> None:
    """Make the surroundings of all tests alike, and watch what is left out."""
    config.pluginmanager.register(left_out.LeftOut())
    config.pluginmanager.register(repeatable.Repeatable())
    for name in tuple(os.environ):
        is_proxy = name.lower().endswith("_proxy")
        if name in SURROUNDINGS or name.startswith(SURROUNDINGS_FROM) or is_proxy:
            del os.environ[name]
    # What ignores a signal (nohup, a shell's background) has its children ignore it, and tests
    # send signals to theirs: what is caught here is theirs to take.
    for each in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(each) is signal.SIG_IGN:
            signal.signal(each, lambda *_: None)
    # Whoever ends a run that takes too long gets a report, and no namespace or process is left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(
    config: pytest.Config,
) -> Generator[None, int | pytest.ExitCode | None, int | pytest.ExitCode | None]:
    """Hold a run to all tests, if it has to be one of all."""
    if not completeness.is_asked_for():
        return (yield)
    watcher = completeness.Completeness(REPOSITORY / "tests", config.rootpath)
    config.pluginmanager.register(watcher)
    code = yield
    is_part = hasattr(config, "workerinput")  # one of several processes; the first one sums up
    # --fixtures leaves a session with success, whatever it was
    if watcher.gaps != [] and not code and not is_part:
        print("EVERY_TEST=1, and not every test ran", file=sys.stderr)
        return pytest.ExitCode.TESTS_FAILED
    return code


class Weighbridge(Protocol):
    """Runs ``weighbridge`` with the given arguments in a process of its own, to its end."""

    def __call__(
        self,
        *arguments: str,
        prefix: Sequence[str] = (),
        timeout_s: float = 240,
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs what this machine or this user lacks, before it prepares anything."""
    left_out.skip_without_parts(item)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of loopback that refuses: it is taken, so that nobody comes to listen there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def loopback_6() -> str:
    """The address of loopback of the newer family, where there is one."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            raise
        pytest.skip(NO_IPV6)
    return "::1"


@pytest.fixture
def weighbridge(request: pytest.FixtureRequest, tmp_path: Path) -> Weighbridge:
    """Run the command line from an empty folder; `prefix` goes in front of the command.

    A test marked `in_process` needs no process of its own for it.
    """
    if request.node.get_closest_marker("in_process"):
        run_here: Weighbridge = request.getfixturevalue("in_process")
        return run_here

    def run(
        *arguments: str, prefix: Sequence[str] = (), timeout_s: float = 240
    ) -> subprocess.CompletedProcess[str]:
        return completed([*prefix, *WEIGHBRIDGE, *arguments], tmp_path, timeout_s=timeout_s)

    return run


@pytest.fixture
def in_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Weighbridge]:
    """Run the command line as `weighbridge` does, but in this process: it costs a tenth.

    For what only reads and refuses. A call with a `prefix` has a process of its own.
    """
    from sampler.cli.entry import main  # noqa: PLC0415 - few tests need it

    monkeypatch.chdir(tmp_path)

    def run(
        *arguments: str, prefix: Sequence[str] = (), timeout_s: float = 240
    ) -> subprocess.CompletedProcess[str]:
        if prefix:
            return completed([*prefix, *WEIGHBRIDGE, *arguments], tmp_path, timeout_s=timeout_s)
        monkeypatch.setattr(sys, "argv", ["weighbridge", *arguments])
        capsys.readouterr()
        code = main(arguments)
        told = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(code), told.out, told.err)

    yield run
    gc.unfreeze()  # of a command that sent something
