"""Attacks, and what they come to: ``make hardening`` writes ``reports/hardening.md``.

Each row is an attack that is made here and now, its figure, and the limit that it must not exceed.
A figure beyond its limit is marked, and the script ends with 1. Times are of the processor.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pyarrow as pa

from analysis import Batch
from sampler.base.redaction import without_secrets
from sampler.demo.process import EmbeddedService
from sampler.exchange.http1.response import LimitExceeded, ResponseReader, decompress
from sampler.labels.missing import describe_missing
from sampler.labels.parts import LARGEST_DOCUMENT
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule
from sampler.store.arrow import to_arrow
from tests.benchmarks.provenance import paragraph, provenance
from tests.fuzz.run import READERS, fuzz
from tests.processes import WEIGHBRIDGE, completed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPORT = Path(__file__).parents[2] / "reports" / "hardening.md"
_LOOP_MS = 50.0
_STARTS_WITHIN = 3_000  # hundredths of a second
_KILLS = int(os.environ.get("KILLS", "200"))
_INPUTS = {
    "responses": 960_000, "manifests": 20_000, "logs": 10_000, "runs": 4_000,
    "configurations": 6_000,
}  # fmt: skip
_PART = float(os.environ.get("INPUTS", "1.0"))
_SEED = 20_261_130


@dataclass(frozen=True, slots=True)
class Row:
    """One attack."""

    attack: str
    figure: str
    limit: str
    holds: bool


def _cpu_ms(act: Callable[[], object]) -> float:
    """Return the least of a few times [ms]: other work on this machine is not the attack's."""
    took = []
    for _ in range(3):
        began = time.process_time()
        act()
        took.append(time.process_time() - began)
    return min(took) * 1e3


def _loop(attack: str, act: Callable[[], object]) -> Row:
    took = _cpu_ms(act)
    return Row(attack, f"{took:.1f} ms", f"{_LOOP_MS:g} ms", took <= _LOOP_MS)


# The system counts the memory of who started a process as its own, too; this does not.
_MEASURED = """
import sys, time
from sampler.cli.entry import main
code = main(sys.argv[2:])
with open("/proc/self/status") as status, open(sys.argv[1], "w") as out:
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    print(time.process_time(), peak, file=out)
sys.exit(code)
"""


def _called(*arguments: str, folder: Path) -> tuple[int, float, float]:
    """Run the command; return its exit code, processor time [s] and memory [MB]."""
    told = folder / "told"
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(told), *arguments],
        cwd=folder, capture_output=True, check=False, timeout=300,
    )  # fmt: skip
    took_s, peak_kib = told.read_text().split()
    told.unlink()
    return done.returncode, float(took_s), int(peak_kib) / 1024


def _command(
    attack: str, *arguments: str, folder: Path, most_s: float, most_mb: float, codes: set[int]
) -> Row:
    code, took_s, took_mb = _called(*arguments, folder=folder)
    holds = code in codes and took_s <= most_s and took_mb <= most_mb
    wanted = " or ".join(map(str, sorted(codes)))
    return Row(
        attack,
        f"exit {code}, {took_s:.1f} s, {took_mb:.0f} MB",
        f"exit {wanted}, {most_s:g} s, {most_mb:g} MB",
        holds,
    )


def _label(reader: LabelReader, body: bytes) -> None:
    reader.codes(200, (), body)
    describe_missing(reader.label, 200, (), body)


def answers() -> Iterator[Row]:
    """Attack what reads an answer, in the event loop."""
    mb = 1 << 20
    bomb = gzip.compress(b"\n" * (100 * mb))

    def unpack() -> None:
        try:
            decompress(b"gzip", bomb, mb)
        except LimitExceeded:
            return
        raise RuntimeError("the bomb was unpacked")

    yield _loop("body: gzip of 100 MB of line ends", unpack)
    reader = LabelReader(LabelRule.parse("/label"))
    below = LabelReader(LabelRule.parse("/items/0/label"))
    bodies = {
        "1 MB of empty arrays": b"[" + b"[]," * (mb // 3 - 2) + b"1]",
        "1 MB of numbers below an index": b'{"items":[' + b"1," * (mb // 2 - 9) + b"1]}",
        "the largest document of empty arrays": b"[" + b"[]," * (LARGEST_DOCUMENT // 3 - 2) + b"1]",
        "1 MB of lone surrogates": b'["' + b"\\ud800" * (mb // 6 - 1) + b'"]',
        "1 MB of open brackets": b"[" * mb,
        "1 MB that is no UTF-8": b"\xff" * mb,
    }
    for name, body in bodies.items():
        for each in (reader, below):
            yield _loop(f"body: {name}, label {each.label}", partial(_label, each, body))
    head = b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 16_000 + b"\r\n"

    def read() -> None:
        try:
            ResponseReader(bodyless=False, max_header_bytes=1 << 16, max_body_bytes=mb).feed(head)
        except LimitExceeded:
            return

    yield _loop("head: 16 000 empty fields", read)
    for piece in ("://", "a@", "?token=", "&a;", '"a":"', ":/", "Bearer "):
        text = piece * (65_536 // len(piece))
        yield _loop(f"64 KiB of {piece!r} to redact", partial(without_secrets, text))


def files(folder: Path) -> Iterator[Row]:
    """Attack what reads a file."""
    log = folder / "bomb.csv.gz"
    with gzip.open(log, "wb", 6) as out:
        out.write(b"time,label\n")
        for _ in range(300):
            out.write(b"\n" * (1 << 20))
    expect = ("--expect", "v1=9,v2=1")
    yield _command(
        f"log: {log.stat().st_size >> 10} KiB of gzip with 300 MB of line ends", "judge", log.name,
        *expect, folder=folder, most_s=20, most_mb=300, codes={2},
    )  # fmt: skip
    line = folder / "line.csv"
    line.write_bytes(b"time,label\n" + b"x" * 200_000_000)
    yield _command("log: one line of 200 MB", "judge", line.name, *expect,
                   folder=folder, most_s=20, most_mb=300, codes={2})  # fmt: skip
    odd = folder / "odd.csv"
    rows = "".join(f"{1.7e9 + n},v{1 + n % 10 // 9}\n" for n in range(800))
    odd.write_text(f"time,label\n{rows}0,v1\n")
    yield _command("log: one time stamp 56 years before the others", "judge", odd.name, *expect,
                   folder=folder, most_s=20, most_mb=300, codes={0, 1, 2, 3})  # fmt: skip
    alias = folder / "alias.yaml"
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    alias.write_text("a0: &a0 [x]\n" + "\n".join(levels) + "\n")
    yield _command("manifest: 11 levels of 9 aliases", "expect", "--manifests", alias.name,
                   "--service", "app", folder=folder, most_s=20, most_mb=500,
                   codes={2})  # fmt: skip
    run = folder / "packed"
    run.mkdir()
    batch = to_arrow(Batch.of_labels(["v1"] * 1_000_000))
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(str(run / "samples.arrows"), batch.schema, options=options) as out:
        out.write_batch(batch)
    yield _command("run: a stream that is packed", "judge", run.name, *expect,
                   folder=folder, most_s=20, most_mb=300, codes={2})  # fmt: skip
    toml = folder / "config.toml"
    toml.write_text("[check]\n" + ".".join("a" * 16_000) + " = 1\n")
    yield _command("configuration: one key of 16 000 dots", "check", "http://127.0.0.1:9/",
                   "--expect", "v1=1", "--config", toml.name, folder=folder, most_s=20,
                   most_mb=300, codes={2})  # fmt: skip


def fuzzing() -> Iterator[Row]:
    """Feed each reader mutated inputs: a million in all."""
    for name, reader in READERS.items():
        counts, broken = fuzz(reader, max(int(_INPUTS[name] * _PART), 100), _SEED)
        ends = ", ".join(f"{n} {end}" for end, n in counts.most_common())
        yield Row(
            f"{counts.total()} mutated inputs of {name}", ends if broken is None else broken[1],
            "an answer or a refusal each", broken is None,
        )  # fmt: skip


def kills(folder: Path) -> Iterator[Row]:
    """Kill a check at random moments, and read what it left."""
    random = Random(_SEED)
    moments = [random.uniform(0.0, 3.0) for _ in range(_KILLS)]
    with EmbeddedService({"v1": 9, "v2": 1}, seed=3) as service, ThreadPoolExecutor(2) as pool:
        found = list(pool.map(
            lambda number, after_s: _killed(service.url, folder / f"kill-{number}", after_s),
            range(_KILLS), moments,
        ))  # fmt: skip
    left = [each for each in found if each is not None]
    runs, worst_s = len(left), max((lost for lost, _, _ in left), default=0.0)
    verdicts = sum(has_verdict for _, has_verdict, _ in left)
    unread = sum(not is_read for _, _, is_read in left)
    yield Row(
        f"kill -9 at {_KILLS} random moments: {runs} runs left",
        f"{worst_s:.2f} s lost at most",
        "1 s, and 0.25 s for a stall of this machine",
        worst_s <= 1.25,
    )
    yield Row("… verdicts that the run did not have", str(verdicts), "0", verdicts == 0)
    yield Row("… runs that report or judge could not read", str(unread), "0", unread == 0)


def _killed(url: str, base: Path, after_s: float) -> tuple[float, bool, bool] | None:
    """Kill a check so long after it has its folder; return what `_left` does, None without one."""
    arguments = ("check", url, "--expect", "v1=9,v2=1", "--out", str(base),
                 "--tolerance", "0.2pp", "--max-rate", "500/s",
                 "--alpha", "1e-9", "--beta", "1e-9")  # fmt: skip
    process = subprocess.Popen(
        [*WEIGHBRIDGE, *arguments], cwd=base.parent,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(_STARTS_WITHIN):
        if base.exists() or process.poll() is not None:
            break
        time.sleep(0.01)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    killed_s = time.time()
    process.wait()
    left = list(base.glob("*")) if base.exists() else []
    return _left(left[0], killed_s, base.parent) if left else None


def _left(run: Path, killed_s: float, folder: Path) -> tuple[float, bool, bool]:
    """Return the seconds lost, whether a verdict was made up, and whether all could be read."""
    stream = run / "samples.arrows"
    plan = run / "plan.json"
    # Of what was sent more than a second before the end, all must be there: it was flushed by then.
    lost = 0.0
    if stream.exists():
        lost = max(killed_s - stream.stat().st_mtime, 0.0)
    elif plan.exists():
        lost = max(killed_s - plan.stat().st_mtime - 0.5, 0.0)  # before its first second
    reported = completed([*WEIGHBRIDGE, "report", str(run), "--json", "-"], folder)
    asked = ("judge", str(run), "--expect", "v1=9,v2=1", "--tolerance", "0.2pp")
    judged = completed([*WEIGHBRIDGE, *asked], folder)
    if not plan.exists():
        return lost, False, 70 not in {reported.returncode, judged.returncode}
    document = json.loads(reported.stdout or "{}")
    has_verdict = document.get("verdict") in {"PASS", "FAIL"}
    is_read = reported.returncode in {0, 3} and judged.returncode in {0, 1, 3, 2}
    return lost, has_verdict, is_read


def main() -> int:
    """Attack, and write the table; give the exit code."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for made in (answers(), files(folder), kills(folder), fuzzing()):
            for row in made:
                rows.append(row)
                print(f"{'ok' if row.holds else 'BROKEN':7} {row.attack}: {row.figure}")
    table = "\n".join(
        f"| {row.attack} | {row.figure}{'' if row.holds else ' **beyond**'} | {row.limit} |"
        for row in rows
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    REPORT.write_text(
        "# Attacks\n\n"
        "Written by `make hardening`: each attack was made on this machine, on loopback. Times are "
        "of the processor. In the event\nloop nothing may take more than 50 ms; what the limits "
        "are is in [docs/limits.md](../docs/limits.md).\n\n"
        f"{paragraph(provenance({}))}\nSeed {_SEED}; {peak} MB in this process.\n\n"
        f"| attack | figure | limit |\n| --- | --- | --- |\n{table}\n"
    )
    return int(not all(row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main())
