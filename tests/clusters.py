"""A Kubernetes API on loopback (kmock), and objects to put into it."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import urllib.request
from contextlib import AsyncExitStack
from math import inf
from typing import TYPE_CHECKING, Any, Self

import kmock

from analysis import Policy, Tolerance
from sampler.expect.cluster.overview import look
from sampler.expect.rules.model import Question
from sampler.plan.load import Limits, Load
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.gate import Weighing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType


NAMESPACE = "shop"
ACCOUNT = "system:serviceaccount:shop:ci"
PLURALS = {
    "Service": "v1/services",
    "Pod": "v1/pods",
    "EndpointSlice": "discovery.k8s.io/v1/endpointslices",
    "Deployment": "apps/v1/deployments",
    "ReplicaSet": "apps/v1/replicasets",
    "StatefulSet": "apps/v1/statefulsets",
    "DaemonSet": "apps/v1/daemonsets",
    "HorizontalPodAutoscaler": "autoscaling/v2/horizontalpodautoscalers",
    "Ingress": "networking.k8s.io/v1/ingresses",
    "HTTPRoute": "gateway.networking.k8s.io/v1/httproutes",
    "GRPCRoute": "gateway.networking.k8s.io/v1/grpcroutes",
    "ReferenceGrant": "gateway.networking.k8s.io/v1beta1/referencegrants",
    "VirtualService": "networking.istio.io/v1/virtualservices",
    "DestinationRule": "networking.istio.io/v1/destinationrules",
    "TraefikService": "traefik.io/v1alpha1/traefikservices",
    "IngressRoute": "traefik.io/v1alpha1/ingressroutes",
    "Rollout": "argoproj.io/v1alpha1/rollouts",
    "Canary": "flagger.app/v1beta1/canaries",
    "ScaledObject": "keda.sh/v1alpha1/scaledobjects",
}
ALWAYS = (
    "Service", "Pod", "EndpointSlice", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet",
    "HorizontalPodAutoscaler", "Ingress",
)  # fmt: skip

Body = dict[str, Any]


class FakeCluster:
    """An API server in a thread of its own; a context.

    Parameters
    ----------
    objects : iterable of dict
        What is there from the start.
    extensions : iterable of str
        Kinds that are installed without an object of theirs.
    """

    def __init__(self, objects: Iterable[Body] = (), extensions: Iterable[str] = ()) -> None:
        self._given = list(objects)
        self._kinds = [*ALWAYS, *extensions, *(body["kind"] for body in self._given)]
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.handler: Any = None
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        self.handler = kmock.KubernetesEmulator()
        for kind in self._kinds:
            self.handler.resources[PLURALS[kind]].kind = kind
        for body in self._given:
            self._store(body)
        await self._stack.enter_async_context(self.handler)
        server = await self._stack.enter_async_context(kmock.Server(self.handler))
        self.url = str(server.url).rstrip("/")

    def run(self, work: Any) -> Any:
        """Run a coroutine where the server runs."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def _store(self, body: Body) -> None:
        metadata = body["metadata"]
        self.handler.objects[PLURALS[body["kind"]], metadata["namespace"], metadata["name"]] = body

    def change(self, body: Body) -> None:
        """Replace an object; watches get an event."""
        metadata = body["metadata"]
        self._send("PATCH", f"{self._path(body)}/{metadata['name']}", body)

    def add(self, body: Body) -> None:
        """Create an object; watches get an event."""
        self._send("POST", self._path(body), body)

    @staticmethod
    def _path(body: Body) -> str:
        *group, version, plural = PLURALS[body["kind"]].split("/")
        root = f"/apis/{group[0]}" if group else "/api"
        return f"{root}/{version}/namespaces/{body['metadata']['namespace']}/{plural}"

    def _send(self, method: str, path: str, body: Body) -> None:
        request = urllib.request.Request(
            self.url + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            response.read()

    def store_silently(self, body: Body) -> None:
        """Replace an object; no watch is told."""

        async def store() -> None:
            self._store(body)

        self.run(store())

    def say(self, kind: str, event: Any) -> None:
        """Send an event to all watches of a kind; ``...`` ends them."""

        async def say() -> None:
            await self.handler._buses[kmock.resource(PLURALS[kind])].put(event)

        self.run(say())

    def go_away(self) -> None:
        """Take no more connections, and cut those that are there."""

        async def cut() -> None:
            (server,) = self.handler.servers
            runner = server.server.runner
            for site in runner.sites:
                site._server.close()
            for connection in runner.server.connections:
                connection.transport.abort()

        self.run(cut())

    def freeze(self, thaw: threading.Event) -> None:
        """Answer nothing until `thaw` is set, and keep all connections."""
        self._loop.call_soon_threadsafe(thaw.wait, 60)

    def react(self, criteria: Any, payload: Any) -> None:
        """Answer what `criteria` (of kmock) match with `payload`."""

        async def react() -> None:
            self.handler[criteria] << payload

        self.run(react())

    def forbid(self, *kinds: str) -> None:
        """Refuse to list and watch some kinds."""
        for kind in kinds:
            group, _, plural = f"/{PLURALS[kind]}".rsplit("/", 2)
            self.react(
                re.compile(rf"/.*/{plural}"),
                lambda request, group=group[1:], plural=plural: forbidden(group, plural),
            )

    def revoke(self, *tokens: str) -> None:
        """Accept some tokens no longer."""
        headers = {f"Bearer {token}" for token in tokens}

        def refuse(_: kmock.Request) -> None:
            raise kmock.KubernetesError(status=401, reason="Unauthorized", message="Unauthorized")

        self.react(lambda request: request.headers.get("Authorization") in headers, refuse)

    def tokens(self) -> list[str]:
        """Give the token of each request of weighbridge so far."""
        return [
            str(request.headers.get("Authorization")).removeprefix("Bearer ")
            for request in self.asked()
        ]

    def asked(self) -> list[kmock.Request]:
        """Give the requests of weighbridge so far."""
        return [
            request
            for request in self.handler
            if request.headers.get("User-Agent") == "weighbridge"
        ]

    def kubeconfig(self, folder: Path, user: Mapping[str, Any] | None = None) -> Path:
        """Write a kubeconfig for this server."""
        return write_kubeconfig(folder, self.url, user)


class Script:
    """Does things one after the other, each as soon as so many requests were launched.

    In threads: a client that waits for them would be a saturated one. What a run shows of its
    progress is what this is called with.
    """

    def __init__(self, *acts: tuple[int, Callable[[], None]]) -> None:
        self.acts = list(acts)
        self.seen: list[Any] = []
        self.threads: list[threading.Thread] = []

    def __call__(self, progress: Any) -> None:
        self.seen.append(progress.evidence)
        is_free = not any(thread.is_alive() for thread in self.threads)
        if self.acts and is_free and progress.launched >= self.acts[0][0]:
            self.threads.append(threading.Thread(target=self.acts.pop(0)[1]))
            self.threads[-1].start()

    def end(self) -> None:
        """Wait for the last one."""
        for thread in self.threads:
            thread.join()


def weigh(url, script, *, settle_s=0.3, tolerance="5pp", wait_s=inf, out=None, max_time_s=60.0):
    """Weigh what the cluster says of `app` at `url`, slowly enough for things to happen.

    The tolerance decides how long a run takes without them: what happens to it has to come first.
    """
    overview = asyncio.run(look(Question(service="app", namespace=NAMESPACE)))
    expected = overview.expectation()
    plan = RunPlan(
        Target(url),
        Load(max_rate=1000.0, concurrency=8),
        Limits(max_time_s=max_time_s),
        split=expected.split,
        # So that no verdict is a matter of luck.
        policy=Policy(
            alpha=1e-6, beta=1e-6, tolerance=Tolerance.parse(tolerance), max_samples=20_000
        ),
        source=expected.source,
        seed=4,
        out=out,
    )
    try:
        return asyncio.run(Weighing(plan, script, overview.watch(settle_s, wait_s=wait_s)).run())
    finally:
        script.end()


def forbidden(group: str, plural: str) -> None:
    """Refuse as RBAC does."""
    raise kmock.KubernetesError(
        status=403,
        reason="Forbidden",
        message=f'{plural} is forbidden: User "{ACCOUNT}" cannot list resource "{plural}" in API '
        f'group "{group}" in the namespace "{NAMESPACE}"',
    )


def write_kubeconfig(folder: Path, url: str, user: Mapping[str, Any] | None = None) -> Path:
    """Write a kubeconfig with one context, ``test``."""
    file = folder / "kubeconfig"
    context = {"cluster": "c", "user": "u", "namespace": NAMESPACE}
    file.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "contexts": [{"name": "test", "context": context}],
                "users": [{"name": "u", "user": dict(user or {"token": "t"})}],
            }
        )
    )
    return file


def _meta(name: str, **more: Any) -> Body:
    return {"name": name, "namespace": NAMESPACE, "generation": 1, "resourceVersion": "1", **more}


def service(name: str = "app", **spec: Any) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(name),
        "spec": {"selector": {"app": name}, "clusterIP": "10.0.0.1", **spec},
    }


def deployment(name: str, version: str, replicas: int, app: str = "app", **more: Any) -> Body:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(name, **more),
        "spec": {
            "replicas": replicas,
            "template": {"metadata": {"labels": {"app": app, "version": version}}, "spec": {}},
        },
    }


def replica_set(owner: str, replicas: int, version: str, app: str = "app") -> Body:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": _meta(f"{owner}-1", ownerReferences=[_owner("Deployment", owner)]),
        "spec": {
            "replicas": replicas,
            "template": {"metadata": {"labels": {"app": app, "version": version}}, "spec": {}},
        },
    }


def _owner(kind: str, name: str) -> Body:
    return {"apiVersion": "apps/v1", "kind": kind, "name": name, "controller": True, "uid": name}


def pod(name: str, version: str, owner: str, app: str = "app") -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _meta(
            name,
            labels={"app": app, "version": version},
            ownerReferences=[_owner("ReplicaSet", f"{owner}-1")],
        ),
        "spec": {},
    }


def endpoint(pod_name: str, **more: Any) -> Body:
    """Give a ready endpoint; `more` replaces its fields."""
    return {
        "addresses": [f"10.1.0.{sum(map(ord, pod_name)) % 250}"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "targetRef": {
            "kind": "Pod", "name": pod_name, "namespace": NAMESPACE, "uid": pod_name,
        },
        **more,
    }  # fmt: skip


def endpoint_slice(
    endpoints: Iterable[Body], name: str = "app-s1", app: str = "app", **more: Any
) -> Body:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "addressType": "IPv4",
        "metadata": _meta(name, labels={"kubernetes.io/service-name": app}, **more),
        "endpoints": list(endpoints),
        "ports": [{"name": "", "port": 8080}],
    }


def names(version: str, count: int) -> list[str]:
    return [f"{version}-{i}" for i in range(count)]


def canary(stable: int = 9, new: int = 1, app: str = "app") -> list[Body]:
    """Give a Service over two Deployments, all of their pods ready."""
    prefix = "" if app == "app" else f"{app}-"
    older = [f"{prefix}{name}" for name in names("v1", stable)]
    newer = [f"{prefix}{name}" for name in names("v2", new)]
    return [
        service(app),
        deployment(app, "v1", stable, app),
        deployment(f"{app}-canary", "v2", new, app),
        replica_set(app, stable, "v1", app),
        replica_set(f"{app}-canary", new, "v2", app),
        *(pod(each, "v1", app, app) for each in older),
        *(pod(each, "v2", f"{app}-canary", app) for each in newer),
        endpoint_slice(map(endpoint, [*older, *newer]), name=f"{app}-s1", app=app),
    ]
