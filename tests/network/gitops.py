"""A cluster that does what its manifests say: what stands behind ``kubectl`` in the tests.

A program called ``kubectl`` hands its arguments to the test, over a Unix socket. There,
``apply`` reads the manifests, starts an nginx for every pod that should run, writes the rules
that kube-proxy would write for the Services, and ends the pods that should not run any more.
"""

from __future__ import annotations

import hashlib
import json
import socketserver
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from tests.network import kubeproxy
from tests.network.bed import Bed, inside, lay, run
from tests.network.cluster import forget_closed_connections
from tests.network.pods import Pod, Pods
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ADDRESSES = {"app": "10.96.7.11", "app-canary": "10.96.7.12"}
"""Cluster address of each Service, by name."""

_KUBECTL = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({socket!r})
    asked = {{"arguments": sys.argv[1:], "folder": os.getcwd()}}
    server.sendall(json.dumps(asked).encode() + b"\\n")
    answer = json.loads(server.makefile("rb").readline())
print(answer["said"])
sys.exit(answer["code"])
"""


@dataclass(frozen=True, slots=True)
class _Running:
    """A pod, and the nginx that it is."""

    pod: Pod
    labels: dict[str, str]
    nginx: Pods


class GitOpsCluster:
    """The cluster; made by `GitOpsCluster.start`.

    Parameters
    ----------
    bed : Bed
        Without pods of its own.
    kubectl : Path
        Folder with the program of that name.

    Attributes
    ----------
    left_out : set of str
        Deployments whose pods run, but are no endpoints of the Service `app`: what was
        declared never took effect.
    """

    def __init__(self, bed: Bed, kubectl: Path) -> None:
        self.bed = bed
        self.kubectl = kubectl
        self.left_out: set[str] = set()
        self._numbers = count()
        self._running: dict[tuple[str, str, int], _Running] = {}
        _restore(bed.node, kubeproxy.portals())

    @classmethod
    @contextmanager
    def start(cls, folder: Path) -> Iterator[GitOpsCluster]:
        """Make an empty cluster, and ``kubectl`` in `folder`.

        Yields
        ------
        GitOpsCluster
            Nothing of it is left when the block ends, however it ends.
        """
        with lay([]) as bed:
            cluster = cls(bed, folder)
            address = str(bed.folder / "kube")
            program = folder / "kubectl"
            program.write_text(
                _KUBECTL.format(python=sys.executable, socket=address), encoding="utf-8"
            )
            program.chmod(0o755)
            with socketserver.UnixStreamServer(address, _handler(cluster)) as server:
                thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
                thread.start()
                try:
                    yield cluster
                finally:
                    server.shutdown()
                    thread.join()
                    for each in cluster._running.values():
                        each.nginx.stop()

    @property
    def pods(self) -> list[str]:
        """Version of every pod that runs, in order."""
        return sorted(each.pod.label for each in self._running.values())

    def call(self, arguments: Sequence[str], folder: Path) -> str:
        """Do what ``kubectl`` was called for; every pod is ready as soon as it runs.

        Raises
        ------
        ValueError
            If it is something that this cluster cannot do.
        """
        match list(arguments):
            case ["apply", "-f", path]:
                return self._apply(folder / path)
            case ["rollout", "status", name, *_] if name.startswith("deployment/"):
                return f"{name} successfully rolled out"
            case _:
                raise ValueError(f"this kubectl cannot {' '.join(arguments)}")

    def _apply(self, folder: Path) -> str:
        objects = [each for file in sorted(folder.glob("*.yaml")) for each in _load(file)]
        deployments = [each for each in objects if each["kind"] == "Deployment"]
        wanted = {
            (name, revision, ordinal): each
            for each in deployments
            for name, revision in [(each["metadata"]["name"], _revision(each))]
            for ordinal in range(each["spec"]["replicas"])
        }
        for key in wanted.keys() - self._running.keys():
            self._running[key] = self._pod(key, wanted[key])
        surplus = [self._running.pop(key) for key in self._running.keys() - wanted.keys()]
        services = [each for each in objects if each["kind"] == "Service"]
        _restore(self.bed.node, _merged([self._rules(each) for each in services]))
        forget_closed_connections(self.bed)
        for each in surplus:
            each.nginx.stop()
        return "\n".join(f"{each['kind']}/{each['metadata']['name']} applied" for each in objects)

    def _pod(self, key: tuple[str, str, int], deployment: Any) -> _Running:
        name, revision, ordinal = key
        number = next(self._numbers)
        template = deployment["spec"]["template"]
        variables = template["spec"]["containers"][0]["env"]
        label = next(each["value"] for each in variables if each["name"] == "LABEL")
        pod = Pod(label, f"{name}-{revision}-{ordinal}", f"10.244.{number // 200}.{number % 200}")
        ip = path_of("ip") or "ip"
        run([ip, "-n", self.bed.node, "address", "add", f"{pod.address}/32", "dev", "lo"])
        folder = self.bed.folder / f"p{number}"
        folder.mkdir()
        nginx = Pods([pod], folder, self.bed.node)
        return _Running(pod, dict(template["metadata"]["labels"]), nginx)

    def _rules(self, service: Any) -> str:
        name, selector = service["metadata"]["name"], service["spec"]["selector"].items()
        endpoints = [
            each.pod.endpoint
            for (deployment, _, _), each in sorted(self._running.items())
            if selector <= each.labels.items()
            and not (name == "app" and deployment in self.left_out)
        ]
        port = service["spec"]["ports"][0]["port"]
        about = kubeproxy.Service(f"default/{name}", ADDRESSES[name], port)
        return kubeproxy.rules(about, endpoints) if endpoints else ""


def _handler(cluster: GitOpsCluster) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked = json.loads(self.rfile.readline())
            try:
                said, code = cluster.call(asked["arguments"], Path(asked["folder"])), 0
            except (ValueError, RuntimeError, KeyError) as error:
                said, code = repr(error), 1
            self.wfile.write(json.dumps({"said": said, "code": code}).encode() + b"\n")

    return Handler


def _load(file: Path) -> list[Any]:
    return [each for each in YAML(typ="safe").load_all(file.read_text("utf-8")) if each]


def _revision(deployment: Any) -> str:
    """Name a pod template by its content, as a ReplicaSet's name does."""
    text = json.dumps(deployment["spec"]["template"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _merged(rules: Sequence[str]) -> str:
    """Join the rules of several Services to one transaction.

    Declaring a chain empties it, so each may be declared only once.
    """
    lines = dict.fromkeys(line for text in rules for line in text.splitlines())
    inner = [line for line in lines if line not in {"*nat", "COMMIT"}]
    chains = [line for line in inner if line.startswith(":")]
    others = [line for line in inner if not line.startswith(":")]
    return "\n".join(["*nat", *chains, *others, "COMMIT", ""])


def _restore(node: str, rules: str) -> None:
    restore = path_of("iptables-restore") or "iptables-restore"
    run([*inside(node), restore, "--wait", "5", "--noflush"], rules)
