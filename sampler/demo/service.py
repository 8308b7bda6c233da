"""The Service itself: a balancer in front of pods, and its life as a process.

How it works. kube-proxy in iptables mode rewrites the first packet of a connection to a
random pod and lets conntrack send the rest the same way; it copies nothing. Here one socket
accepts, the balancer picks the pod, and the pod owns the connection from then on.
Run as ``python -m sampler.demo.service SETTINGS`` it obeys JSON lines on its standard input,
one answer line for each, and ends with it; see `Control`.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import socket
import sys
from collections import Counter
from contextlib import suppress
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from sampler.base.errors import UsageError
from sampler.demo.connection import RESET_ON_CLOSE, Backend, Connection, Shared
from sampler.demo.loop import READ, Loop
from sampler.demo.pods import Counts, Fate, Faults, Pod, Service, counts_to_json, pods_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_BACKLOG = 4096
_ACCEPTED_AT_ONCE = 256
_RETRY_ACCEPT_S = 0.05


class Balancer:
    """Picks a ready pod, uniformly at random, for each connection.

    Parameters
    ----------
    service : Service
        Pods and seed. The k-th of n pods is picked by ``int(random() * n) == k`` of
        ``random.Random(seed)``; fates are drawn from a generator of their own, so that
        faults do not change the picks.
    loop : Loop
        Where connections wait.
    """

    def __init__(self, service: Service, loop: Loop) -> None:
        self._loop = loop
        self._picks = Random()
        self._shared = Shared(loop, Random())
        self.reseed(service.seed)
        self._backends: dict[tuple[str, str], Backend] = {}
        self._ready: list[Backend] = []
        self._counts: dict[tuple[str, str], dict[Fate, int]] = {}
        self._connections = 0
        self._listener: socket.socket | None = None
        self.replace(service.pods)

    def listen(self, host: str, port: int) -> tuple[str, int]:
        """Accept connections on `host` and `port` (0 lets the system choose) from now on.

        Returns
        -------
        (str, int)
            Address and port.

        Raises
        ------
        UsageError
            If the address cannot be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            is_about_the_port = error.errno in {errno.EADDRINUSE, errno.EACCES}
            why = str(error.strerror).partition(" (while")[0]  # Python repeats the address there
            raise UsageError(
                f"cannot listen on {host} port {port}: {why}",
                hint="choose another port, or 0 for any that is free"
                if is_about_the_port
                else "choose an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all",
            ) from error
        listener.setblocking(False)
        # Accepted sockets inherit it: answers to pipelined requests must not wait for ACKs.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._listener = listener
        self._resume_accepting()
        address = listener.getsockname()
        return address[0], address[1]

    def adopt(self, sock: socket.socket) -> None:
        """Pick the pod for the accepted, non-blocking `sock`, and let it begin."""
        self._connections += 1
        if not self._ready:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            sock.close()
            return
        backend = self._ready[int(self._picks.random() * len(self._ready))]
        Connection(self._shared, sock, backend).read()

    def reseed(self, seed: int | None) -> None:
        """Draw picks and fates from the beginning of a seed, or from the system's entropy."""
        self._picks.seed(seed)
        self._shared.fates.seed(None if seed is None else f"fates of {seed}")

    def replace(self, pods: Iterable[Pod]) -> None:
        """Make `pods` the ready ones.

        A pod that keeps its name and label keeps its connections, whatever its faults are
        now. Connections of removed pods are closed when they are idle.
        """
        removed = self._backends
        self._backends = {}
        for pod in pods:
            key = (pod.label, pod.name)
            backend = removed.pop(key, None)
            if backend is None:
                backend = Backend(pod, self._counts.setdefault(key, dict.fromkeys(Fate, 0)))
            else:
                backend.become(pod)
            self._backends[key] = backend
        self._ready = list(self._backends.values())
        for backend in removed.values():
            backend.is_removed = True
        for connection in list(self._shared.connections):
            if connection.backend.is_removed:
                connection.close_if_idle()

    @property
    def counts(self) -> Counts:
        """What was counted so far."""
        requests: Counter[tuple[str, Fate]] = Counter()
        hosts: Counter[str] = Counter()
        for (label, host), fates in self._counts.items():
            for fate, n in fates.items():
                if n:
                    requests[label, fate] += n
                    hosts[host] += n
        return Counts(self._connections, self._shared.rejected, requests, hosts)

    def reset_counts(self) -> None:
        """Count from zero again."""
        self._connections = self._shared.rejected = 0
        for fates in self._counts.values():
            fates.update(dict.fromkeys(Fate, 0))

    def close(self) -> None:
        """Close the listener and all connections."""
        if self._listener is not None:
            self._loop.unwatch(self._listener.fileno())
            self._listener.close()
            self._listener = None
        for connection in list(self._shared.connections):
            connection.close()

    def _resume_accepting(self) -> None:
        if self._listener is not None:
            self._loop.watch(self._listener.fileno(), READ, self._accept_soon)

    def _accept_soon(self, _events: int) -> None:
        self._loop.call_later(0, self._accept)  # after the handlers: see `Loop.turn`

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            if self._listener is None:
                return
            try:
                sock, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:
                # No descriptors or memory left: the listener stays ready, so look away
                # until some connections have ended.
                self._loop.watch(self._listener.fileno(), 0, self._accept_soon)
                self._loop.call_later(_RETRY_ACCEPT_S, self._resume_accepting)
                return
            sock.setblocking(False)
            self.adopt(sock)


class Control:
    """Obeys commands, one JSON object a line, and answers each with one.

    ``{"pods": {LABEL: N}, "faults": {LABEL: {…}}}`` replaces the pods, and with ``"seed": N``
    begins that seed's picks; ``{"counts": true}`` asks for the counts,
    ``{"reset_counts": true}`` starts them anew. What is refused is
    answered with ``{"error": TEXT}``. The end of the input stops the loop.

    Parameters
    ----------
    loop : Loop
        What to stop.
    balancer : Balancer
        What to command.
    commands, answers : int
        File descriptors of two pipes.
    """

    def __init__(self, loop: Loop, balancer: Balancer, commands: int, answers: int) -> None:
        self._loop = loop
        self._balancer = balancer
        self._commands = commands
        self._answers = answers
        self._buffer = b""
        loop.watch(commands, READ, self._read)

    def say(self, answer: dict[str, object]) -> None:
        """Write one line."""
        try:
            os.write(self._answers, json.dumps(answer).encode() + b"\n")
        except BrokenPipeError:
            self._loop.stop()

    def _read(self, _events: int) -> None:
        data = os.read(self._commands, 65_536)
        if not data:
            self._loop.unwatch(self._commands)
            self._loop.stop()
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._loop.call_later(0, partial(self._obey_line, line, 2))

    def _obey_line(self, line: bytes, turns: int) -> None:
        # Subtle: requests sent before this command are ready by now, but perhaps not read.
        # The next turn finds their connections, and accepts new ones at its end; after
        # another one all of them are counted.
        if turns:
            self._loop.call_later(0, partial(self._obey_line, line, turns - 1))
            return
        try:
            self.say(self._obey(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError, UsageError) as error:
            self.say({"error": f"{type(error).__name__}: {error}"})

    def _obey(self, command: dict[str, Any]) -> dict[str, object]:
        if "pods" in command:
            self._balancer.replace(_pods(command))
            if command.get("seed") is not None:
                self._balancer.reseed(command["seed"])
            return {"pods": True}
        if "counts" in command:
            return {"counts": counts_to_json(self._balancer.counts)}
        if "reset_counts" in command:
            self._balancer.reset_counts()
            return {"reset_counts": True}
        raise ValueError(f"unknown command {command!r}")


def _pods(settings: dict[str, Any]) -> tuple[Pod, ...]:
    faults = settings.get("faults") or {}
    return pods_of(settings["pods"], {label: Faults(**each) for label, each in faults.items()})


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # some systems refuse their own hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def serve(
    service: Service,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[str, int], None] = lambda _host, _port: None,
) -> Counts:
    """Serve in the foreground until SIGINT, SIGTERM or SIGHUP; to be called in the main thread.

    Parameters
    ----------
    service : Service
        What to serve.
    host, port : str, int
        Where to listen; port 0 lets the system choose.
    on_ready : callable
        Called with address and port once connections are accepted.

    Returns
    -------
    Counts
        What was counted until the end.

    Raises
    ------
    UsageError
        If the address cannot be had.
    """
    _allow_many_connections()
    loop = Loop()
    balancer = Balancer(service, loop)
    # A signal alone does not end the wait for events (PEP 475); the byte that the
    # interpreter writes for it does.
    ours, interpreters = socket.socketpair()
    interpreters.setblocking(False)
    loop.watch(ours.fileno(), READ, lambda _events: loop.stop())
    ends = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ends.append(signal.SIGHUP)  # unless nohup(1) has it ignored
    before = {number: signal.getsignal(number) for number in ends}
    woken_before = signal.set_wakeup_fd(interpreters.fileno(), warn_on_full_buffer=False)
    try:
        for number in before:
            signal.signal(number, lambda _number, _frame: loop.stop())
        on_ready(*balancer.listen(host, port))
        loop.run()
        return balancer.counts
    finally:
        signal.set_wakeup_fd(woken_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        balancer.close()
        loop.close()
        ours.close()
        interpreters.close()


def main(settings: dict[str, Any]) -> int:
    """Serve as a child process; see `Control`. Return the exit code."""
    _allow_many_connections()
    loop = Loop()
    try:
        balancer = Balancer(Service(_pods(settings), settings["seed"]), loop)
        control = Control(loop, balancer, sys.stdin.fileno(), sys.stdout.fileno())
        address, port = balancer.listen("127.0.0.1", settings["port"])
    except UsageError as error:
        sys.stdout.write(json.dumps({"error": str(error), "hint": error.hint}) + "\n")
        return int(error.exit_code)
    control.say({"address": address, "port": port})
    loop.run()
    balancer.close()
    loop.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
