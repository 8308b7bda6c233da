"""Pods: one nginx, in which every pod is a server on an address of its own.

How it counts. Every pod writes an access log of its own, one line a request, through a
buffer, so that counting costs the benchmark next to nothing. To read the logs, the worker is
told to reopen them, which flushes the buffers. Its event loop looks at signals after it has
served what is ready, so a second request that it answers after the signal proves that the
flush is over, and that every request which was answered before is in the logs. Nobody has to
wait for an amount of time.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PORT = 8080
_TIMEOUT_S = 30

_CONFIGURATION = """\
user root;
worker_processes 1;
{affinity}
worker_rlimit_nofile 65536;
pid "{folder}/nginx.pid";
error_log "{folder}/error.log" warn;
events {{ worker_connections 16384; }}
http {{
    log_format sample '$connection';
    access_log off;
    client_body_temp_path "{folder}/body";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    default_type application/json;
    keepalive_requests 100000000;
    # A request that waits for the client's FIN would reach the log after its answer.
    lingering_close off;
    server {{
        listen "unix:{folder}/control";
        location / {{ return 200 $pid; }}
    }}
{servers}
}}
"""

_SERVER = """\
    server {{
        listen {address}:{port} backlog=4096;
        access_log "{folder}/{host}.log" sample buffer=64k;
        location / {{ return 200 '{body}'; }}
    }}
"""


@dataclass(frozen=True, slots=True)
class Pod:
    """One replica: what it answers and where."""

    label: str
    host: str
    address: str

    @property
    def endpoint(self) -> str:
        """Where the pod listens, as ``address:port``."""
        return f"{self.address}:{PORT}"

    @property
    def body(self) -> str:
        """What it answers to every request."""
        return json.dumps({"label": self.label, "host": self.host})


class Pods:
    """A running nginx that is all of the pods.

    Parameters
    ----------
    pods : sequence of Pod
        Their addresses exist in the namespace already.
    folder : Path
        Empty; short, because a Unix socket in it may have 107 bytes of path at most.
    namespace : str
        Network namespace of the node.
    cpu : int or None
        Processor that serves; None leaves it to the kernel.
    """

    def __init__(
        self, pods: Sequence[Pod], folder: Path, namespace: str, *, cpu: int | None = None
    ) -> None:
        self.pods = tuple(pods)
        self._folder = folder
        configuration = folder / "nginx.conf"
        configuration.write_text(_configuration(self.pods, folder, cpu), encoding="utf-8")
        started = subprocess.run(
            [
                *(path_of("ip") or "ip", "netns", "exec", namespace),
                *(path_of("nginx") or "nginx", "-p", str(folder), "-c", str(configuration)),
                *("-e", str(folder / "error.log")),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
        if started.returncode != 0:
            raise RuntimeError(f"nginx did not start: {started.stderr}")
        # The sockets are open when the command returns, the pid is on disk when a worker answers.
        self._answer()
        self._master = int((folder / "nginx.pid").read_text(encoding="ascii"))

    def requests(self) -> Counter[str]:
        """Count the requests that were answered so far, by label."""
        self._flush()
        total: Counter[str] = Counter({pod.label: 0 for pod in self.pods})
        for pod in self.pods:
            total[pod.label] += self._log(pod).count(b"\n")
        return total

    def connections(self) -> Counter[str]:
        """Count the connections that carried at least one request so far, by label."""
        self._flush()
        total: Counter[str] = Counter({pod.label: 0 for pod in self.pods})
        for pod in self.pods:
            total[pod.label] += len(set(self._log(pod).split()))
        return total

    def stop(self) -> None:
        """End the process and wait until it is gone.

        Raises
        ------
        TimeoutError
            If it had to be killed.
        """
        process = os.pidfd_open(self._master)
        try:
            signal.pidfd_send_signal(process, signal.SIGTERM)
            if _is_gone(process):
                return
            signal.pidfd_send_signal(process, signal.SIGKILL)
            raise TimeoutError(f"nginx {self._master} did not end within {_TIMEOUT_S} s")
        finally:
            os.close(process)

    def _flush(self) -> None:
        os.kill(int(self._answer()), signal.SIGUSR1)
        # Subtle: the first of these may be answered in the round of the loop that the signal
        # interrupted, before the logs are flushed; the second cannot.
        self._answer()
        self._answer()

    def _answer(self) -> bytes:
        """Ask the worker for its process id."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(_TIMEOUT_S)
            control.connect(str(self._folder / "control"))
            control.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = control.makefile("rb").read()
        return answer.partition(b"\r\n\r\n")[2]

    def _log(self, pod: Pod) -> bytes:
        return (self._folder / f"{pod.host}.log").read_bytes()


def _configuration(pods: Sequence[Pod], folder: Path, cpu: int | None) -> str:
    servers = "".join(
        _SERVER.format(address=pod.address, port=PORT, folder=folder, host=pod.host, body=pod.body)
        for pod in pods
    )
    affinity = "" if cpu is None else f"worker_cpu_affinity {1 << cpu:b};"
    return _CONFIGURATION.format(folder=folder, servers=servers, affinity=affinity)


def _is_gone(process: int) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(_TIMEOUT_S * 1000))
