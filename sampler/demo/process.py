"""The embedded Service as seen by those who start it: a process that ends with them."""

from __future__ import annotations

import json
import os
import select
import subprocess
from dataclasses import asdict
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from sampler.base.errors import UsageError, WeighbridgeError
from sampler.base.own_process import command_of, environment
from sampler.demo.pods import Counts, Faults, counts_from_json, pods_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

ANSWER_TIMEOUT_S = 20.0
"""How long the process may take to start, or to answer [s]."""

_END_TIMEOUT_S = 5.0


class EmbeddedService:
    """A canary Service on loopback, in a process of its own.

    It serves from the construction on, until `close` or the end of a ``with`` block. The
    process ends with its standard input, so it outlives no parent, not even a killed one.

    Parameters
    ----------
    weights : mapping of str to int
        Pods by label; see `pods_of` for their names.
    faults : mapping of str to Faults
        What is wrong with the pods of a label.
    port : int
        0 lets the system choose.
    seed : int or None
        Makes picks and fates repeat; None takes entropy from the system.

    Raises
    ------
    UsageError
        If weights or faults are out of range, or the port cannot be had.
    WeighbridgeError
        If the process does not start.

    Examples
    --------
    >>> with EmbeddedService({"v1": 9, "v2": 1}) as service:
    ...     service.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        weights: Mapping[str, int],
        faults: Mapping[str, Faults] | None = None,
        *,
        port: int = 0,
        seed: int | None = None,
    ) -> None:
        settings = {**_settings(weights, faults), "port": port, "seed": seed}
        self._buffer = b""
        self._process = _start(settings)
        try:
            ready = self._answer()
        except BaseException:
            self.close()
            raise
        self.address: str = ready["address"]
        self.port: int = ready["port"]

    @property
    def url(self) -> str:
        """Where the Service answers."""
        return f"http://{self.address}:{self.port}/"

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def configure(
        self,
        weights: Mapping[str, int],
        faults: Mapping[str, Faults] | None = None,
        *,
        seed: int | None = None,
    ) -> None:
        """Replace the pods; in force for new connections when this returns.

        A pod that keeps its name and label keeps its connections and takes over its new
        faults. Idle connections of removed pods are closed, the others after their request.
        With `seed`, picks and fates begin anew from it; without, they go on.

        Raises
        ------
        UsageError
            If weights or faults are out of range.
        """
        self._ask({**_settings(weights, faults), "seed": seed})

    def counts(self) -> Counts:
        """Return what was counted so far; every request that a client sent before is in."""
        return counts_from_json(self._ask({"counts": True})["counts"])

    def reset_counts(self) -> None:
        """Count from zero again."""
        self._ask({"reset_counts": True})

    def close(self) -> None:
        """End the process, gently or not; does nothing once it has ended."""
        process = self._process
        if process.stdin is not None and process.stdout is not None:
            process.stdin.close()
            process.stdout.close()
        try:
            process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            raise ValueError("the embedded Service is closed")
        try:
            stdin.write(json.dumps(command).encode() + b"\n")
        except BrokenPipeError as error:
            raise self._gone() from error
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._line())
        if "error" in answer:
            raise UsageError(answer["error"], hint=answer.get("hint"))
        return answer

    def _line(self) -> bytes:
        stdout = self._process.stdout
        if stdout is None or stdout.closed:
            raise ValueError("the embedded Service is closed")
        readable = select.poll()  # unlike select() at home with descriptors above 1023
        readable.register(stdout, select.POLLIN)
        deadline = monotonic() + ANSWER_TIMEOUT_S
        while b"\n" not in self._buffer:
            if not readable.poll(max(0.0, deadline - monotonic()) * 1000):
                raise WeighbridgeError(
                    f"the embedded Service did not answer within {ANSWER_TIMEOUT_S:g} s"
                )
            data = os.read(stdout.fileno(), 65_536)
            if not data:
                raise self._gone()
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _gone(self) -> WeighbridgeError:
        self.close()
        return WeighbridgeError(
            f"the embedded Service has ended with code {self._process.returncode}",
            hint="its last words are on the standard error",
        )


def _settings(weights: Mapping[str, int], faults: Mapping[str, Faults] | None) -> dict[str, Any]:
    pods_of(weights, faults)  # refuses here what the process would refuse
    told = {label: asdict(each) for label, each in (faults or {}).items()}
    return {"pods": dict(weights), "faults": told}


def _start(settings: dict[str, Any]) -> subprocess.Popen[bytes]:
    # It does not get the terminal's Ctrl-C: its end is ours to decide.
    return subprocess.Popen(  # noqa: S603  # our own module, in our own interpreter
        command_of("sampler.demo.service", json.dumps(settings)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env=environment(),
        process_group=0,
    )
