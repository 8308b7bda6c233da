"""A field that is not evaluated refuses, and the page says which ones are evaluated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect.routes import (
    argo,
    consul,
    contour,
    flagger,
    gateway,
    istio,
    knative,
    nginx,
    openshift,
    smi,
    traefik,
)
from sampler.expect.rules.fields import Fields
from sampler.expect.rules.matching import Meets, every, fields_of
from sampler.expect.rules.objects import KubeObject

PAGE = Path(__file__).resolve().parents[5] / "docs" / "expectations.md"
TABLE = {
    "HTTPRoute: a match": gateway.MATCH,
    "GRPCRoute: a match": gateway.GRPC_MATCH,
    "HTTPRoute, GRPCRoute: a rule": gateway.RULE,
    "VirtualService: a match": istio.MATCH,
    "VirtualService: a rule": istio.RULE,
    "VirtualService: a destination": istio.DESTINATION,
    "IngressRoute: a rule": traefik.RULE,
    "Rollout: a step": argo.STEP,
    "Canary: an analysis": flagger.ANALYSIS,
    "Route (OpenShift): spec": openshift.SPEC,
    "TrafficSplit: spec": smi.SPEC,
    "HTTPProxy: spec": contour.SPEC,
    "HTTPProxy: a route": contour.ROUTE,
    "HTTPProxy: a condition": contour.CONDITION,
    "ServiceSplitter: spec": consul.SPEC,
    "ServiceSplitter: a split": consul.SPLIT,
    "VirtualServer: spec": nginx.SPEC,
    "VirtualServer: a route": nginx.ROUTE,
    "VirtualServer: a match": nginx.MATCH,
    "VirtualServer: a condition": nginx.CONDITION,
    "Service (Knative): spec": knative.SPEC,
    "Service (Knative): a target": knative.TARGET,
}


def cells(fields):
    return [
        ", ".join(f"`{key}`" for key in sorted(names)) or "-"
        for names in (fields.evaluated, fields.beside, fields.refused or {})
    ]


def test_the_page_lists_every_field_as_the_code_has_it():
    section = PAGE.read_text(encoding="utf-8").partition("### Which fields are evaluated\n")[2]
    rows = re.findall(r"^\| ([\w, ():]+) \| (.+?) \| (.+?) \| (.+?) \|$", section, re.MULTILINE)

    assert {row[0]: list(row[1:]) for row in rows[1:] if row[0] in TABLE} == {
        name: cells(fields) for name, fields in TABLE.items()
    }


def made(**body):
    return KubeObject(body, lambda path: "/".join(map(str, path))).root


@pytest.mark.parametrize("fields", TABLE.values(), ids=TABLE)
def test_a_field_that_nobody_listed_refuses(fields):
    with pytest.raises(ExpectationError, match=r"fieldOfTomorrow of .* is not evaluated"):
        fields.check(made(fieldOfTomorrow=1))
    fields.check(made(**dict.fromkeys([*fields.evaluated, *fields.beside], 1)))


def test_a_field_of_a_match_that_is_not_evaluated_leaves_it_open_and_says_why():
    fields = Fields("a match", ("path",), refused={"port": "it is a port of the gateway"})

    match = every(fields_of(fields, made(path="/", port=80)))

    assert match.meets is Meets.OPEN
    assert "port of a match is not evaluated: it is a port of the gateway" in match.why
