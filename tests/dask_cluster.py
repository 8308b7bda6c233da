"""A Dask cluster of processes on loopback, with zones, and a Service that looks at who asks."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread

from sampler.demo.process import EmbeddedService
from tests.processes import surroundings

ZONES = {"a": "127.0.0.11", "b": "127.0.0.12", "c": "127.0.0.13"}
"""Address that the clients of each zone come from."""


class DaskCluster:
    """A scheduler and a worker for each zone."""

    def __init__(self, folder):
        self.folder = folder
        self.scheduler = None
        self.workers = {}
        self.address = ""
        self._started, self._readers = [], []

    def heal(self):
        """Start what is not there, and wait until it is."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            self.close()
            self.scheduler, line = self.start(
                "Scheduler at:", "scheduler", "--host", "127.0.0.1", "--port", "0",
                "--no-dashboard", "--no-jupyter",
            )  # fmt: skip
            self.address = line.split()[-1]
        for zone in ZONES:
            worker = self.workers.get(zone)
            if worker is not None:
                worker.send_signal(signal.SIGCONT)
            if worker is None or worker.poll() is not None:
                self.workers[zone] = self.start_worker(zone)

    def start_worker(self, zone, *options, name=None, **environment):
        """Start a worker in a zone, in place of the one that is there if it has that name."""
        process, _ = self.start(
            "Registered to:", "worker", self.address, "--name", name or f"worker-{zone}",
            "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1",
            *(options or ["--no-nanny"]),
            WEIGHBRIDGE_ZONE=zone, WEIGHBRIDGE_SOURCE=ZONES[zone], **environment,
        )  # fmt: skip
        return process

    @contextmanager
    def replaced(self, zone, *options, **environment):
        """Have another worker in a zone for a while."""
        end(self.workers[zone])
        process = self.start_worker(zone, *options, **environment)
        try:
            yield process
        finally:
            end(process)

    def cpu_s(self):
        """Return the CPU time of the scheduler and the workers, without their children [s]."""
        ticks = 0
        for process in (self.scheduler, *self.workers.values()):
            fields = Path(f"/proc/{process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # utime, stime
        return ticks / os.sysconf("SC_CLK_TCK")

    def close(self):
        """End the processes."""
        for process in self._started:
            process.kill()
            process.wait()
        for reader in self._readers:
            reader.join()
        self._started, self._readers, self.workers, self.scheduler = [], [], {}, None

    def start(self, waits_for, *arguments, **environment):
        """Start a process; return it, and the first line on stderr with these words."""
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=self.folder,
            env=surroundings(**environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines: Queue[str] = Queue()
        self._readers.append(Thread(target=_read, args=(process.stderr, lines.put)))
        self._readers[-1].start()
        self._started.append(process)
        said = []
        while waits_for not in (line := lines.get(timeout=120)):
            said.append(line)
            assert line, f"ended with {process.wait()} without {waits_for!r}: {''.join(said)}"
        return process, line


def end(process):
    """End a process, and wait until it has ended."""
    process.send_signal(signal.SIGTERM)  # a nanny ends its worker
    process.wait(60)


def _read(stream, put):
    with stream:
        for line in stream:
            put(line)
    put("")


class NodeRules:
    """Hands connections to the Service of the zone that they come from, as kube-proxy would.

    Parameters
    ----------
    pods : dict of str to dict of str to int
        What each zone reaches.
    """

    def __init__(self, pods):
        self._pods = pods
        self._stack = ExitStack()
        self._loop = asyncio.new_event_loop()

    def __enter__(self):
        self.services = {
            zone: self._stack.enter_context(EmbeddedService(weights, seed=1))
            for zone, weights in self._pods.items()
        }
        self._targets = {
            ZONES[zone]: int(service.url.rstrip("/").rpartition(":")[2])
            for zone, service in self.services.items()
        }
        listening = asyncio.start_server(self._join, "127.0.0.1", 0)
        self._server = self._loop.run_until_complete(listening)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._stack.close()

    def served(self):
        """Return the requests that each zone's Service has seen."""
        return {zone: service.counts().total for zone, service in self.services.items()}

    async def _shut(self):
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _join(self, reader, writer):
        port = self._targets[writer.get_extra_info("peername")[0]]
        try:
            answers, onwards = await asyncio.open_connection("127.0.0.1", port)
            try:
                await asyncio.gather(_pump(reader, onwards), _pump(answers, writer))
            finally:
                onwards.close()
        except OSError:
            pass
        finally:
            writer.close()


async def _pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def freeze(process):
    """Stop a process as a machine that hangs would."""
    os.kill(process.pid, signal.SIGSTOP)
