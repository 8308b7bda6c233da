"""nginx in front of the pods: by a hash of something random, or by smooth weighted round robin."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.network.planes.base import Regime, Unit
from tests.network.planes.proxy import LISTEN, serving
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.network.bed import Bed

# One worker: each keeps a round robin of its own. Nothing is tried again at another pod.
_CONFIGURATION = """\
user root;
daemon off;
worker_processes 1;
pid "{folder}/nginx.pid";
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path "{folder}/body";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    keepalive_requests 1000000;
{split}
    server {{
        listen {listen} backlog=4096;
        location / {{
            proxy_pass http://{upstream};
            proxy_next_upstream off;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class SplitClients:
    """Shares of a hash's range, as ingress controllers write them for a canary."""

    name = "nginx split_clients"
    program = "nginx"
    unit = Unit.REQUEST
    regime = Regime.BINOMIAL

    @contextmanager
    def steer(self, bed: Bed, weights: Mapping[str, int]) -> Iterator[str]:
        """Give each label its share of the hashes of a random request id."""
        (first, *others), total = weights, sum(weights.values())
        shares = [f"{100 * weights[label] / total:.2f}% {label};" for label in others]
        split = f'    split_clients "$request_id" $version {{ {" ".join(shares)} * {first}; }}\n'
        for label in weights:
            split += _upstream(label, {pod.endpoint: 1 for pod in bed.of(label)})
        with _nginx(bed, split, "$version") as url:
            yield url


@dataclass(frozen=True, slots=True)
class WeightedUpstream:
    """``server … weight=9``: the smooth weighted round robin."""

    name = "nginx weighted upstream"
    program = "nginx"
    unit = Unit.REQUEST
    regime = Regime.UNDER_DISPERSED

    @contextmanager
    def steer(self, bed: Bed, weights: Mapping[str, int]) -> Iterator[str]:
        """Give the first pod of each label the whole weight of the label."""
        servers = {bed.of(label)[0].endpoint: weight for label, weight in weights.items() if weight}
        with _nginx(bed, _upstream("app", servers), "app") as url:
            yield url


def _upstream(name: str, servers: Mapping[str, int]) -> str:
    lines = "".join(f" server {place} weight={weight};" for place, weight in servers.items())
    return f"    upstream {name} {{{lines} }}\n"


@contextmanager
def _nginx(bed: Bed, split: str, upstream: str) -> Iterator[str]:
    configuration = bed.folder / "nginx.conf"
    text = _CONFIGURATION.format(folder=bed.folder, split=split, listen=LISTEN, upstream=upstream)
    configuration.write_text(text, encoding="utf-8")
    command = [
        *(path_of("nginx") or "nginx", "-p", str(bed.folder), "-c", str(configuration)),
        *("-e", "stderr"),
    ]
    with serving(bed, command) as url:
        yield url
