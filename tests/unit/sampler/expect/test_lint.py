"""Lint looks at every object once, not at every pair of them."""

from __future__ import annotations

from collections import Counter

import pytest

from sampler.expect.lint import lint
from sampler.expect.rules.model import Question
from sampler.expect.rules.objects import Inventory, KubeObject, Node


def made(kind, name, spec, version="v1", **metadata):
    body = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }
    return KubeObject(body, lambda path: "/".join(map(str, path)))


def pods(i):
    labels = {"app": f"a{i}", "version": "v1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"image": "a"}]}}
    yield made("Service", f"s{i}", {"selector": {"app": f"a{i}"}, "ports": [{"port": 80}]})
    yield made("Deployment", f"d{i}", {"replicas": 1, "template": template}, "apps/v1")
    yield made("Job", f"j{i}", {"template": template}, "batch/v1")


def http_routes(i):
    rules = [{"matches": [{"path": {"value": f"/{i}"}}], "backendRefs": [{"name": "s0"}]}]
    spec = {"parentRefs": [{"name": "edge"}], "rules": rules}
    yield made("HTTPRoute", f"r{i}", spec, "gateway.networking.k8s.io/v1")


def virtual_services(i):
    spec = {"hosts": [f"h{i}.x"], "http": [{"route": [{"destination": {"host": "s0"}}]}]}
    yield made("VirtualService", f"r{i}", spec, "networking.istio.io/v1")
    yield made("DestinationRule", f"r{i}", {"host": f"h{i}"}, "networking.istio.io/v1")


def ingresses(i):
    backend = {"service": {"name": f"s{i}", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    spec = {"rules": [{"host": f"h{i // 2}", "http": {"paths": paths}}]}
    canary = {"x/canary": "true", "x/canary-weight": "9"} if i % 2 else {}
    yield made("Ingress", f"i{i}", spec, "networking.k8s.io/v1", annotations=canary)
    yield from pods(i)


def strangers(i):
    yield made("Thing", f"t{i}", {"weight": 1, "to": f"x{i}"}, "example.org/v1")
    yield from pods(i)


@pytest.mark.parametrize("kinds", [pods, http_routes, virtual_services, ingresses, strangers])
def test_twice_the_objects_take_twice_the_steps(kinds, monkeypatch):
    steps: Counter[str] = Counter()
    step = Node.__getitem__

    def counted(node, key):
        steps["taken"] += 1
        return step(node, key)

    monkeypatch.setattr(Node, "__getitem__", counted)

    def steps_for(count):
        objects = [*pods(0), *(each for i in range(1, count + 1) for each in kinds(i))]
        steps.clear()
        lint(Inventory(objects), Question())
        return steps["taken"]

    assert steps_for(120) < 2.3 * steps_for(60)
