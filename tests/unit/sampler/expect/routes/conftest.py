from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from sampler.expect.resolve import expect
from sampler.expect.rules.model import Question
from sampler.expect.rules.objects import Inventory, KubeObject

PODS = """
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: 3
  template:
    metadata: {{labels: {{app: {name}, tier: web, version: {name}}}}}
    spec: {{containers: [{{image: app}}]}}
---
"""
ALL = """
apiVersion: v1
kind: Service
metadata: {name: all}
spec: {selector: {tier: web}}
---
"""


@pytest.fixture
def split():
    """Ask a route of some YAML; Services v1, v2 and v3 have one version each, `all` has all."""

    def ask(text, route, host="shop.example", path="/", **more):
        pods = "".join(PODS.format(name=name) for name in ("v1", "v2", "v3")) + ALL
        inventory = Inventory(
            [
                KubeObject(body, lambda path: ".".join(map(str, path)))
                for body in YAML(typ="safe").load_all(pods + text)
                if body
            ]
        )
        found = expect(inventory, Question(route=route, host=host, path=path, **more))
        weights = {arm: weight for arm, weight in found.split.weight_of.items() if weight}
        return weights, [finding.code.value for finding in found.findings]

    return ask
