"""What lint finds, and that it looks at every object once, not at every pair of them."""

from __future__ import annotations

from collections import Counter

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect.lint import lint
from sampler.expect.resolve import expect
from sampler.expect.rules.model import Question
from sampler.expect.rules.objects import Inventory, KubeObject, Node
from sampler.expect.rules.versions import VersionRule


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


def virtual_services_of_one_host(i):
    spec = {"hosts": ["h.x"], "http": [{"route": [{"destination": {"host": "s0"}}]}]}
    yield made("VirtualService", f"r{i}", spec, "networking.istio.io/v1")
    yield made("DestinationRule", f"r{i}", {"host": f"*.{i}.local"}, "networking.istio.io/v1")
    second = {"metadata": {"labels": {"app": "a0", "version": "v2"}}, "spec": {}}
    yield made("Deployment", "other", {"replicas": 1, "template": second}, "apps/v1")
    yield made("DestinationRule", f"s{i}", {"host": "s0"}, "networking.istio.io/v1")


def ingresses_of_one_service(i):
    yield from ingresses(i, f"s{i % 2}")


def ingresses_of_one_host(i):
    yield from ingresses(i, f"s{i % 2}", "h")


def ingresses(i, service=None, host=None):
    backend = {"service": {"name": service or f"s{i}", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    spec = {"rules": [{"host": host or f"h{i // 2}", "http": {"paths": paths}}]}
    canary = {"x/canary": "true", "x/canary-weight": "9"} if i % 2 else {}
    yield made("Ingress", f"i{i}", spec, "networking.k8s.io/v1", annotations=canary)
    yield from pods(i)


def of_one_application(i):
    labels = {"app": "all", "version": f"v{i}"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"image": "a"}]}}
    port = {"port": 80, "targetPort": "http"}
    yield made("Service", f"all{i}", {"selector": {"app": "all"}, "ports": [{"port": 80}]})
    yield made("Service", f"named{i}", {"selector": {"app": "all"}, "ports": [port]})
    steps = {"canary": {"steps": [{"setWeight": 10}]}}
    spec = {"replicas": 10, "template": template, "strategy": steps}
    yield made("Rollout", f"all{i}", spec, "argoproj.io/v1alpha1")
    yield made("Job", f"all{i}", {"template": template}, "batch/v1")
    yield made("Service", f"none{i}", {"selector": {"app": "all", "x": f"{i}"}, "ports": []})


def grants(i):
    backend = {"name": "s0", "namespace": "b"}
    spec = {"parentRefs": [{"name": f"e{i}"}], "rules": [{"backendRefs": [backend]}]}
    yield made("HTTPRoute", f"r{i}", spec, "gateway.networking.k8s.io/v1", namespace="a")
    grant = {"from": [{"kind": "HTTPRoute", "namespace": "a"}], "to": [{"kind": "Secret"}]}
    yield made("ReferenceGrant", f"g{i}", grant, "gateway.networking.k8s.io/v1", namespace="b")


def wildcards(i):
    yield made("DestinationRule", f"w{i}", {"host": f"*.{i}.local"}, "networking.istio.io/v1")
    yield from pods(i)


def strangers(i):
    yield made("Thing", f"t{i}", {"weight": 1, "to": f"x{i}"}, "example.org/v1")
    yield from pods(i)


@pytest.mark.parametrize(
    "kinds",
    [
        *(pods, http_routes, virtual_services, virtual_services_of_one_host, strangers),
        *(ingresses, ingresses_of_one_service, ingresses_of_one_host),
        *(of_one_application, grants, wildcards),
    ],
)
def test_twice_the_objects_take_twice_the_steps(kinds, steps_of):
    def steps_for(count):
        return steps_of(*pods(0), *(each for i in range(1, count + 1) for each in kinds(i)))

    assert steps_for(120) < 2.3 * steps_for(60)


@pytest.fixture
def steps_of(monkeypatch):
    """Count the values that lint looks at in some objects."""
    steps: Counter[str] = Counter()
    make = Node.__init__

    def counted(node, *values):
        steps["taken"] += 1
        make(node, *values)

    monkeypatch.setattr(Node, "__init__", counted)

    def steps_of(*objects):
        steps.clear()
        lint(Inventory(objects), Question())
        return steps["taken"]

    return steps_of


def found(*objects):
    return [each.code.value for each in lint(Inventory([*pods(0), *objects]), Question())]


WEIGHTS = {"backends": [{"service": "s0", "weight": 9}, {"service": "s1", "weight": 1}]}


@pytest.mark.parametrize("kind", ["Mapping", "VirtualServer", "RouteGroup", "TCPRoute", "Invented"])
def test_a_kind_that_divides_traffic_and_is_not_read_is_an_error(kind):
    assert "traffic_unread" in found(made(kind, "shop", WEIGHTS, "example.org/v1"))


@pytest.mark.parametrize("kind", ["KongPlugin", "Route"])
def test_so_is_one_without_a_spec_or_a_service(kind):
    traffic = {"traffic": [{"revisionName": "shop-1", "percent": 90}]}
    route = made(kind, "shop", traffic, "serving.knative.dev/v1")
    plugin = made(kind, "shop", None, "configuration.konghq.com/v1")
    plugin.body.update(plugin="canary", config={"percentage": 10, "upstream_host": "s0.default"})

    assert "traffic_unread" in found(route if kind == "Route" else plugin)


def test_a_route_of_linkerd_for_a_server_is_no_finding():
    parents = [{"name": "s0", "kind": "Server", "group": "policy.linkerd.io"}]
    route = made("HTTPRoute", "get", {"parentRefs": parents, "rules": [{}]}, "policy.linkerd.io/v1")

    assert found(route) == found()


def test_a_kind_without_weights_is_only_named():
    assert found(made("Invented", "shop", {"to": "s0"}, "example.org/v1")) == [
        "unknown_workload", "unknown_kind",
    ]  # fmt: skip


def test_mappings_in_an_annotation_are_an_error():
    mapping = {"getambassador.io/config": "kind: Mapping\nservice: s0\nweight: 10\n"}
    spec = {"selector": {"app": "a0"}}

    assert "traffic_unread" in found(made("Service", "old", spec, annotations=mapping))


@pytest.mark.parametrize(("policy", "is_told"), [("Never", True), ("Always", False)])
def test_a_bare_pod_that_ends_is_an_error_where_a_service_selects_it(policy, is_told):
    spec = {"restartPolicy": policy, "containers": [{"image": "a"}]}
    pod = made("Pod", "test", spec, labels={"app": "a0", "version": "v1"})

    assert (found(pod).count("unknown_workload") == 2) is is_told  # the Job is one, too


@pytest.mark.parametrize(("tag", "is_told"), [("latest", True), ("alpine", True), ("v2", False)])
def test_pods_of_two_workloads_under_a_tag_that_names_no_version_cannot_be_told_apart(tag, is_told):
    template = {
        "metadata": {"labels": {"app": "b"}},
        "spec": {"containers": [{"image": f"shop:{tag}"}]},
    }
    workloads = [
        made("Deployment", name, {"replicas": 2, "template": template}, "apps/v1")
        for name in ("b", "b-canary")
    ]
    service = made("Service", "b", {"selector": {"app": "b"}})

    assert ("versions_alike" in found(service, *workloads)) is is_told


RULES = {
    "HTTPRoute": (
        "gateway.networking.k8s.io/v1",
        {"rules": [{"matches": [{"path": {"value": f"/{name}"}}],
                    "backendRefs": [{"name": name, "weight": weight}]}
                   for name, weight in (("s0", 1), ("s1", 1))]
         + [{"filters": [{"type": "RequestRedirect"}]}]},
    ),
    "VirtualService": (
        "networking.istio.io/v1",
        {"hosts": ["a.example"], "http": [
            {"match": [{"headers": {"user-agent": {"regex": "x"}}}], "redirect": {"uri": "/"}},
            *({"match": [{"uri": {"regex": name}}], "route": [{"destination": {"host": name}}]}
              for name in ("s0", "s1"))]},
    ),
    "IngressRoute": (
        "traefik.io/v1alpha1",
        {"routes": [{"match": "PathRegexp(`/a`)", "services": [{"name": name}]}
                    for name in ("s0", "s1", "api@internal")]},
    ),
    "HTTPProxy": (
        "projectcontour.io/v1",
        {"routes": [{"services": [{"name": name}]} for name in ("s0", "s1")]},
    ),
    "VirtualServer": (
        "k8s.nginx.org/v1",
        {"host": "h", "upstreams": [{"name": name, "service": name} for name in ("s0", "s1")],
         "routes": [{"path": f"/{name}", "action": {"pass": name}} for name in ("s0", "s1")]},
    ),
    "Ingress": (
        "networking.k8s.io/v1",
        {"rules": [{"http": {"paths": [{"path": f"/{name}", "pathType": "Prefix", "backend":
                    {"service": {"name": name}}} for name in ("s0", "s1")]}}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", RULES)
def test_twice_the_rules_of_a_route_take_twice_the_steps(kind, steps_of):
    version, spec = RULES[kind]

    def many(here, count):
        """Repeat the rules, which are what the last of the lists holds."""
        for key in ("rules", "http", "routes", "paths"):
            if key in here:
                inner = here[key][0].get("http", {})
                within = [{"http": many(inner, count)}] if "paths" in inner else here[key] * count
                return {**here, key: within}
        return here

    def steps_for(count):
        return steps_of(made(kind, "shop", many(spec, count), version), *pods(0), *pods(1))

    assert steps_for(120) < 2.3 * steps_for(60)


@pytest.mark.parametrize("kind", RULES)
def test_without_a_request_each_rule_of_a_route_is_examined_by_itself(kind):
    version, spec = RULES[kind]
    codes = found(made(kind, "shop", spec, version))

    assert [code for code in codes if code != "unknown_workload"] == ["not_expected"]  # s1
    both = found(made(kind, "shop", spec, version), *pods(1))
    assert set(both) == {"unknown_workload"}  # the Jobs


@pytest.mark.parametrize("group", ["contour.heptio.com", "example.org"])
def test_a_kind_of_the_name_of_one_that_is_read_is_an_error_where_it_has_weights(group):
    services = [{"name": "a", "weight": 9}, {"name": "b", "weight": 1}]
    route = made("IngressRoute", "shop", {"routes": [{"services": services}]}, f"{group}/v1")

    assert "traffic_unread" in found(route)


@pytest.mark.parametrize(("label", "is_told"), [("b", False), ("c", True)])
def test_a_workload_that_does_not_select_its_own_pods_is_an_error(label, is_told):
    template = {"metadata": {"labels": {"app": label}}, "spec": {"containers": [{"image": "a:1"}]}}
    spec = {"selector": {"matchLabels": {"app": "b"}}, "template": template}

    assert ("selects_nothing" in found(made("Deployment", "b", spec, "apps/v1"))) is is_told


@pytest.mark.parametrize(("more", "is_told"), [([], False), ([{"name": "s0"}], True)])
def test_a_backend_of_another_kind_is_an_error_where_it_shares_the_traffic(more, is_told):
    backends = [{"name": "model", "kind": "Backend", "group": "gateway.kgateway.dev"}, *more]
    spec = {"rules": [{"backendRefs": backends}]}
    route = made("HTTPRoute", "shop", spec, "gateway.networking.k8s.io/v1")

    assert ("not_expected" in found(route)) is is_told


def backend(weight, namespace="shop"):
    """A route of one namespace to a Service of another one, or of the same."""
    rule = {"backendRefs": [{"name": "s9", "namespace": namespace, "weight": weight}]}
    if not weight:
        rule["backendRefs"].append({"name": "known", "namespace": "default"})
    spec = {"parentRefs": [{"name": "edge"}], "rules": [rule]}
    return made("HTTPRoute", "r", spec, "gateway.networking.k8s.io/v1", namespace="default")


def service(namespace):
    spec = {"selector": {"app": "x"}, "ports": [{"port": 80}]}
    return made("Service", "s0", spec, **({"namespace": namespace} if namespace else {}))


@pytest.mark.parametrize("weight", [0, 9])
@pytest.mark.parametrize("namespace", ["shop", "default"])
@pytest.mark.parametrize(
    ("beside", "live", "is_unread"),
    [
        ([], (), True),
        ([service("other")], (), True),
        ([service("")], (), False),
        ([service("shop"), service("default")], (), False),
        ([], ("shop", "default"), False),
    ],
)
def test_a_reference_is_a_mistake_where_a_service_beside_it_was_read(
    weight, namespace, beside, live, is_unread
):
    route = backend(weight, namespace)
    versions = VersionRule.parse("known=v1")
    findings = lint(Inventory([*beside, route], live=live), Question(versions=versions))
    of_route = [each for each in findings if "s9" in each.message]

    assert {each.severity.value for each in of_route} == {"warning" if is_unread else "error"}
    if is_unread:
        (found,) = of_route
        assert found.code.value == "reference_unread"
        assert f"no Service of {namespace} was read" in found.message


def test_a_reference_that_is_asked_about_is_an_error_in_any_case():
    findings = lint(Inventory([backend(9, "default")]), Question(route="r"))

    assert [each.severity.value for each in findings] == ["error"]


def workload(kind, namespace):
    template = {
        "metadata": {"labels": {"app": "other"}},
        "spec": {"containers": [{"image": "a:1"}]},
    }
    spec = {"selector": {"matchLabels": {"app": "other"}}, "template": template}
    return made(kind, "other", spec, "apps/v1", **({"namespace": namespace} if namespace else {}))


@pytest.mark.parametrize(
    ("beside", "live", "code"),
    [
        ([], (), "reference_unread"),
        ([workload("Deployment", "default")], (), "reference_unread"),
        ([workload("Deployment", "")], (), "selects_nothing"),
        ([workload("StatefulSet", "shop")], (), "selects_nothing"),
        ([workload("DaemonSet", "shop")], (), "selects_nothing"),
        ([], ("shop",), "selects_nothing"),
    ],
)
def test_a_selector_is_a_mistake_where_a_workload_beside_it_was_read(beside, live, code):
    findings = lint(Inventory([*beside, service("shop")], live=live), Question())

    assert [each.code.value for each in findings] == [code]


@pytest.mark.parametrize("asked", [{"service": "s0"}, {"route": "r"}])
def test_pods_that_are_asked_about_and_were_not_read_are_an_error(asked):
    spec = {"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [{"name": "s0"}]}]}
    route = made("HTTPRoute", "r", spec, "gateway.networking.k8s.io/v1", namespace="shop")

    with pytest.raises(ExpectationError, match="no workload of shop was read") as refused:
        expect(Inventory([route, service("shop")]), Question(**asked))
    assert "--version-from s0=v1" in str(refused.value.hint)


@pytest.mark.parametrize(("steps", "more"), [(9, ""), (10, ""), (30, "20 further steps")])
def test_of_many_steps_that_pods_cannot_make_the_last_one_told_counts_the_rest(steps, more):
    canary = {"steps": [{"setWeight": 10 + i} for i in range(steps)]}
    rollout = made("Rollout", "r", {"replicas": 1, "strategy": {"canary": canary}},
                   "argoproj.io/v1alpha1")  # fmt: skip
    found = [
        each
        for each in lint(Inventory([rollout]), Question())
        if each.code.value == "unachievable_weight"
    ]

    assert len(found) == min(steps, 10)
    assert more in found[-1].message
    assert (str(steps - 1) in found[-1].message) or not more  # where the last one stands
    assert all(each.severity.value == "error" for each in found)


@pytest.mark.parametrize(
    ("replicas", "weight", "is_told"),
    [(3, 33, False), (3, 66, False), (3, 20, True), (11, 90, False), (9, 90, True)],
)
def test_a_weight_that_pods_miss_by_no_more_than_a_tenth_is_no_mistake(replicas, weight, is_told):
    canary = {"steps": [{"setWeight": weight}], "maxSurge": 0}
    spec = {"replicas": replicas, "strategy": {"canary": canary}}
    rollout = made("Rollout", "r", spec, "argoproj.io/v1alpha1")

    codes = [each.code.value for each in lint(Inventory([rollout]), Question())]
    assert ("unachievable_weight" in codes) is is_told
