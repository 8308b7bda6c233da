"""Objects that are not evaluated: which of them are told of, and how loud."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from sampler.base.errors import ExpectationError
from sampler.expect.lint import lint
from sampler.expect.resolve import expect
from sampler.expect.rules.model import Question
from sampler.expect.rules.objects import Inventory, KubeObject
from sampler.expect.rules.versions import VersionRule

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80}]}
---
"""
POLICY = "{apiVersion: example.org/v1, kind: Policy, metadata: {name: p}, spec: %s}"
PLUGIN = "{apiVersion: example.org/v1, kind: %s, metadata: {name: p}, %s}"
ROLLOUT = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  template: {metadata: {labels: {app: shop, tier: web}}, spec: {containers: [{image: "a:1"}]}}
  strategy: {canary: %s}
---
"""
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: edge, annotations: {%s}}
spec:
  rules:
  - http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: root, port: {name: use-annotation}}}
---
"""
ACTION = "alb.ingress.kubernetes.io/actions.root: '%s'"


def inventory(text):
    bodies = YAML(typ="safe").load_all(text)
    return Inventory([KubeObject(each, lambda path: f"{path}") for each in bodies if each])


def codes(text):
    return {each.code.value for each in lint(inventory(text), Question())}


@pytest.mark.parametrize(
    ("spec", "is_told"),
    [
        ("{loadBalancer: {type: ConsistentHash, consistentHash: {type: SourceIP}}}", True),
        ("{default: {sessionAffinity: {type: CLIENT_IP}}}", True),
        ("{sessionPersistence: {sessionName: S}}", True),
        ("{hashOn: {input: ip}}", True),
        ("{sessionAffinity: None}", False),
        ("{rateLimit: {requests: 100}}", False),
    ],
)
def test_a_policy_that_may_bind_clients_to_pods_is_a_warning(spec, is_told):
    assert ("sticky" in codes(SERVICE + POLICY % spec)) is is_told


@pytest.mark.parametrize(
    ("kind", "says", "is_told"),
    [
        ("KongPlugin", "plugin: canary, config: {start: 1, duration: 60, upstream_uri: /b}", True),
        ("KongClusterPlugin", "plugin: canary, config: {percentage: 10}", True),
        ("KongPlugin", "plugin: rate-limiting, config: {minute: 5, redis_host: shop}", False),
        (
            "ApisixPluginConfig",
            "spec: {plugins: [{config: {rules: [{weighted_upstreams: [{weight: 9}]}]}}]}",
            True,
        ),
        ("InferenceService", "spec: {predictor: {canaryTrafficPercent: 10}}", True),
        ("EnvoyFilter", "spec: {value: {route: {weighted_clusters: {clusters: []}}}}", True),
        ("ServiceEntry", "spec: {hosts: [shop.example], resolution: DNS}", False),
        ("HelmRelease", "spec: {chart: shop, values: {affinity: [{weight: 100}]}}", False),
    ],
)
def test_some_kinds_divide_traffic_only_where_they_have_weights(kind, says, is_told):
    assert ("traffic_unread" in codes(SERVICE + PLUGIN % (kind, says))) is is_told


@pytest.mark.parametrize(
    ("beside", "kind", "is_told"),
    [
        ("", "ServiceRouter", True),
        ("", "ApisixRoute", True),
        ("", "ServiceProfile", False),
        (SERVICE, "ServiceRouter", False),
    ],
)
def test_a_route_that_is_not_evaluated_is_an_error_where_its_services_were_not_read(
    beside, kind, is_told
):
    route = PLUGIN % (kind, "spec: {routes: [{destination: {service: admin}}]}")

    assert ("traffic_unread" in codes(beside + route)) is is_told


@pytest.mark.parametrize(("service", "is_told"), [("p", False), ("admin", True)])
def test_a_router_that_sends_all_requests_on_is_none(service, is_told):
    route = PLUGIN % (
        "ServiceRouter",
        f"spec: {{routes: [{{destination: {{service: {service}}}}}]}}",
    )

    assert ("traffic_unread" in codes(route)) is is_told


@pytest.mark.parametrize(("label", "is_told"), [("preview", False), ("other", True)])
def test_a_service_may_select_the_pods_of_an_experiment(label, is_told):
    metadata = f"{{labels: {{app: {label}}}}}"
    template = f"{{name: a, specRef: canary, metadata: {metadata}}}"
    rollout = ROLLOUT % f"{{steps: [{{experiment: {{templates: [{template}]}}}}]}}"
    service = SERVICE.replace("app: shop", "app: preview, tier: web")

    assert ("selects_nothing" in codes(rollout + service)) is is_told


@pytest.mark.parametrize(
    ("action", "beside", "is_told"),
    [
        (ACTION % '{"Type": "redirect"}', "", False),
        (ACTION % '{"type":"fixed-response"}', "", False),
        (ACTION % '{"type":"forward","forwardConfig":{}}', "", True),
        ("", "", True),
        ("", ROLLOUT % "{trafficRouting: {alb: {ingress: edge}}}", False),
        ("", ROLLOUT % "{trafficRouting: {alb: {ingresses: [other, edge]}}}", False),
        ("", ROLLOUT % "{trafficRouting: {alb: {ingress: other}}}", True),
    ],
)
def test_an_action_of_the_load_balancer_is_no_mistake_where_it_answers_or_is_written(
    action, beside, is_told
):
    assert ("not_expected" in codes(INGRESS % action + beside)) is is_told


@pytest.mark.parametrize(
    ("kind", "version", "spec", "is_told"),
    [
        ("Ingress", "networking.k8s.io/v1", "{rules: [{host: shop.example}]}", False),
        ("HTTPProxy", "projectcontour.io/v1", "{includes: [{name: a}]}", False),
        ("HTTPProxy", "projectcontour.io/v1", "{}", True),
    ],
)
def test_a_route_without_rules_is_no_mistake_where_it_may_be_so(kind, version, spec, is_told):
    route = f"{{apiVersion: {version}, kind: {kind}, metadata: {{name: a}}, spec: {spec}}}"

    assert ("not_expected" in codes(route)) is is_told


def test_a_service_with_pods_of_a_kind_that_is_not_counted_is_refused_by_its_name():
    template = "{metadata: {labels: {app: shop}}, spec: {containers: [{image: 'a:1'}]}}"
    pods = f"spec: {{replicas: 2, template: {template}}}"

    with pytest.raises(ExpectationError, match="selects pods of DeploymentConfig p only"):
        expect(inventory(SERVICE + PLUGIN % ("DeploymentConfig", pods)), Question(service="shop"))


KNATIVE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: shop}
spec:
  template: {metadata: {name: shop-2}, spec: {containers: [{image: "a:2"}]}}
  traffic: [{percent: 90, revisionName: shop-1}, {percent: 10, latestRevision: true}]
"""
SPLITTER = """
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceSplitter
metadata: {name: shop}
spec: {splits: [{weight: 90, serviceSubset: stable}, {weight: 10, serviceSubset: canary}]}
"""


@pytest.mark.parametrize("text", [KNATIVE, SPLITTER])
def test_a_version_that_is_in_no_manifest_is_an_error_where_it_is_asked_about(text):
    assert codes(text) == {"reference_unread"}

    asked = Question(route="shop")
    assert "not_expected" in {each.code.value for each in lint(inventory(text), asked)}


@pytest.mark.parametrize(
    ("kind", "spec", "code"),
    [
        ("Kafka", "{kafka: {replicas: 3}}", "reference_unread"),
        ("Cluster", "{instances: 3}", "reference_unread"),
        ("AuthorizationPolicy", "{action: ALLOW}", "selects_nothing"),
        ("StatefulSet", "{replicas: 3}", "selects_nothing"),
    ],
)
def test_an_operator_may_run_the_pods_of_a_service_with_the_name_of_its_object(kind, spec, code):
    deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: other}\nspec: {}\n---\n"
    operated = PLUGIN.replace("name: p", "name: shop") % (kind, f"spec: {spec}")
    operated = operated.replace("example.org", "apps") if kind == "StatefulSet" else operated

    text = SERVICE + deployment + operated
    assert {"reference_unread", "selects_nothing"} & codes(text) == {code}
    live = Inventory(inventory(text).objects, live=[""])
    assert "selects_nothing" in {each.code.value for each in lint(live, Question())}


@pytest.mark.parametrize(
    "spec", ["{type: ExternalName, externalName: a.b}", "{ports: [{port: 80}]}"]
)
def test_a_service_whose_pods_are_elsewhere_has_the_version_that_it_is_given(spec):
    objects = inventory(
        f"{{apiVersion: v1, kind: Service, metadata: {{name: away}}, spec: {spec}}}"
    )
    named = Question(service="away", versions=VersionRule.parse("away=v2"))

    assert expect(objects, named).split.weight_of == {"v2": 1}
    with pytest.raises(ExpectationError, match=r"elsewhere|managed by hand") as refused:
        expect(objects, Question(service="away"))
    assert "--version-from away=v1" in str(refused.value.hint)
    rules = "parentRefs: [{name: edge}], rules: [{backendRefs: [{name: away, port: 80}]}]"
    route = (PLUGIN % ("HTTPRoute", f"spec: {{{rules}}}")).replace(
        "example", "gateway.networking.k8s"
    )
    routes = inventory(route.replace("k8s.org", "k8s.io")).objects
    linted = lint(Inventory([*objects.objects, *routes]), Question())
    assert [each.code.value for each in linted] == ["reference_unread"]
