"""Which two Deployments are meant, and what a promotion copies."""

from __future__ import annotations

import pytest

from sampler.base.errors import ExpectationError, UsageError
from sampler.expect.rules.objects import Inventory, KubeObject
from sampler.rollout import Names, find_pair, promote, start
from sampler.rollout.differences import differences


def deployment(name, version, replicas=1, **more):
    track = "canary" if name.endswith("-canary") else "stable"
    labels = {"app": "shop", "track": track, "version": version}
    container = {"name": "app", "image": f"shop:{version}", **more}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/version": version}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "shop", "track": track}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def inventory(*bodies):
    return Inventory([KubeObject(body, "f.yaml:{}".format) for body in bodies])


def settings(step):
    return {
        (each.deployment.name, ".".join(map(str, each.path))): each.value for each in step.settings
    }


def pair(*bodies, **names):
    return find_pair(inventory(*bodies), Names(**names))


def test_a_canary_is_found_by_its_name():
    found = pair(deployment("a", "1"), deployment("shop-canary", "v2", 0), deployment("shop", "v1"))

    assert (found.stable.name, found.canary.name) == ("shop", "shop-canary")
    assert found.state == "stable"
    assert found.weights == {"v1": 1, "v2": 0}


def test_a_stable_deployment_may_be_called_so():
    bodies = deployment("shop-stable", "v1", 9), deployment("shop-canary", "v2")

    for names in ({}, {"stable": "shop-stable"}, {"canary": "shop-canary"}):
        found = pair(*bodies, **names)
        assert (found.stable.name, found.canary.name) == ("shop-stable", "shop-canary")
    with pytest.raises(ExpectationError, match="more than one canary: of shop-stable, shop"):
        pair(*bodies, deployment("shop", "v1"))
    with pytest.raises(ExpectationError, match="which Deployment is 'shop-canary' the canary of"):
        pair(*bodies, deployment("shop", "v1"), canary="shop-canary")


def test_a_deployment_that_does_not_select_its_own_pods_is_refused():
    canary = deployment("shop-canary", "v2")
    del canary["spec"]["template"]["metadata"]["labels"]["track"]

    with pytest.raises(ExpectationError, match="selects track=canary, which its own pod template"):
        pair(deployment("shop", "v1"), canary)


def test_a_sidecar_that_comes_first_is_not_taken_for_the_application():
    bodies = [deployment("shop", "v1", 9), deployment("shop-canary", "v2", 0)]
    for each in bodies:
        template = each["spec"]["template"]
        del template["metadata"]["labels"]["version"]
        template["spec"]["containers"].insert(0, {"name": "proxy", "image": "envoy:1.30"})

    for image in (None, "shop:v3"):
        with pytest.raises(UsageError) as refused:
            start(pair(*bodies), 1, image=image)
        assert "kubectl.kubernetes.io/default-container" in str(refused.value.hint)


def test_a_track_in_a_selector_is_no_version_where_the_tags_are_called_alike():
    bodies = [deployment("shop", "stable", 9), deployment("shop-canary", "canary", 0)]
    for each in bodies:
        del each["spec"]["template"]["metadata"]["labels"]["version"]

    step = start(pair(*bodies), 1, image="shop:v3")
    assert settings(step)["shop-canary", "spec.template.spec.containers.0.image"] == "shop:v3"
    assert ("shop-canary", "spec.template.metadata.labels.track") not in settings(step)
    bodies[1]["spec"]["replicas"] = 1
    assert settings(promote(pair(*bodies)))["shop", "spec.template.spec.containers.0.image"] == (
        "shop:canary"
    )


def test_a_service_tells_one_canary_from_another():
    other = deployment("x", "v1"), deployment("x-canary", "v2")
    for each in other:
        each["spec"]["template"]["metadata"]["labels"]["app"] = "x"
        each["spec"]["selector"]["matchLabels"]["app"] = "x"
    service = {"kind": "Service", "metadata": {"name": "s"}, "spec": {"selector": {"app": "x"}}}
    bodies = (*other, deployment("shop", "v1"), deployment("shop-canary", "v2"), service)

    with pytest.raises(ExpectationError, match="more than one canary: of x, shop"):
        pair(*bodies)
    assert pair(*bodies, service="s").stable.name == "x"
    assert pair(*bodies, stable="shop").canary.name == "shop-canary"
    assert pair(*bodies, canary="x-canary").stable.name == "x"


def test_a_service_selects_in_its_own_namespace_only():
    bodies = [deployment("shop", "v1"), deployment("shop-canary", "v2")]
    twins = [deployment("shop", "v1"), deployment("shop-canary", "v2")]
    service = {
        "kind": "Service",
        "metadata": {"name": "s", "namespace": "one"},
        "spec": {"selector": {"app": "shop"}},
    }
    for each in bodies:
        each["metadata"]["namespace"] = "one"
    for each in twins:
        each["metadata"]["namespace"] = "two"

    assert pair(*twins, *bodies, service, service="s").stable.deployment.namespace == "one"
    assert pair(*twins, *bodies, namespace="two").canary.deployment.namespace == "two"
    with pytest.raises(ExpectationError, match="found Deployment two/shop, Deployment one/shop"):
        pair(*twins, *bodies, stable="shop")


def test_deployments_of_other_names_are_named():
    bodies = (deployment("blue", "v1", 3), deployment("green", "v2", 1))

    with pytest.raises(ExpectationError) as refused:
        pair(*bodies)
    assert refused.value.hint == "name both: --stable NAME --canary NAME"
    assert pair(*bodies, stable="blue", canary="green").total == 4
    assert pair(*bodies, canary="green").stable.name == "blue"
    with pytest.raises(ExpectationError, match="its own canary"):
        pair(*bodies, stable="blue", canary="blue")


@pytest.mark.parametrize("kind", ["HorizontalPodAutoscaler", "ScaledObject"])
def test_replicas_that_an_autoscaler_owns_are_not_edited(kind):
    scaler = {
        "kind": kind,
        "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "shop"}},
    }
    with pytest.raises(ExpectationError, match=f"{kind} h changes the replicas of Deployment shop"):
        pair(deployment("shop", "v1"), deployment("shop-canary", "v2"), scaler)


@pytest.mark.parametrize(
    ("kind", "version", "field", "is_refused"),
    [
        ("Rollout", "argoproj.io/v1alpha1", "workloadRef", True),
        ("Rollout", "argoproj.io/v1alpha1", "another", False),  # its scaleDown is never
        ("Rollout", "rollouts.kruise.io/v1beta1", "workloadRef", True),
        ("Canary", "flagger.app/v1beta1", "targetRef", True),
    ],
)
def test_pods_that_a_controller_moves_are_not_edited(kind, version, field, is_refused):
    target = {"kind": "Deployment", "name": "shop", "scaleDown": "progressively"}
    if field == "another":
        field, target = "workloadRef", {"kind": "Deployment", "name": "shop"}
    body = {"kind": kind, "apiVersion": version, "metadata": {"name": "r"}, "spec": {field: target}}
    bodies = (deployment("shop", "v1"), deployment("shop-canary", "v2"), body)

    if is_refused:
        with pytest.raises(ExpectationError, match="r changes the replicas of Deployment shop"):
            pair(*bodies)
    else:
        assert pair(*bodies).stable.name == "shop"


def test_an_argo_rollout_is_left_to_its_controller():
    with pytest.raises(ExpectationError) as refused:
        pair({"kind": "Rollout", "metadata": {"name": "shop"}, "spec": {}})
    assert "its own controller" in str(refused.value.hint)


def test_a_promotion_copies_images_and_versions_and_names_the_rest():
    canary = deployment("shop-canary", "v2", 1, env=[
        {"name": "VERSION", "value": "v2"}, {"name": "FEATURE", "value": "on"},
    ])  # fmt: skip
    stable = deployment("shop", "v1", 9, env=[
        {"name": "OTHER", "value": "x"}, {"name": "VERSION", "value": "v1"},
    ])  # fmt: skip

    step = promote(pair(stable, canary))

    containers = "spec.template.spec.containers.0"
    assert settings(step) == {
        ("shop", "metadata.labels.app.kubernetes.io/version"): "v2",
        ("shop", "spec.template.metadata.labels.version"): "v2",
        ("shop", f"{containers}.image"): "shop:v2",
        ("shop", f"{containers}.env.1.value"): "v2",
        ("shop", "spec.replicas"): 10,
        ("shop-canary", "spec.replicas"): 0,
    }
    assert [each.place.dotted for each in step.left] == [
        "spec.template.spec.containers[0].env[0]",
        "spec.template.spec.containers[0].env",
    ]


def test_the_version_in_a_selector_is_refused_before_kubernetes_does():
    stable, canary = deployment("shop", "v1", 9), deployment("shop-canary", "v2", 1)
    stable["spec"]["selector"]["matchLabels"]["version"] = "v1"

    with pytest.raises(UsageError, match="selector of Deployment shop contains its version"):
        promote(pair(stable, canary))

    canary["spec"]["selector"]["matchLabels"]["version"] = "v2"
    canary["spec"]["replicas"] = 0
    with pytest.raises(UsageError, match="selector of Deployment shop-canary"):
        start(pair(stable, canary), 1, version="v3")


def test_a_version_that_only_the_image_tells_needs_an_image():
    bodies = [deployment("shop", "v1", 9), deployment("shop-canary", "v2", 0)]
    for each in bodies:
        del each["spec"]["template"]["metadata"]["labels"]["version"]

    with pytest.raises(UsageError) as refused:
        start(pair(*bodies), 1, version="v3")
    assert refused.value.hint == "give --image IMAGE:TAG, and no --set-version"
    with pytest.raises(UsageError, match="is the tag of its image"):
        start(pair(*bodies), 1, image="shop:v3", version="v4")
    step = start(pair(*bodies), 1, image="shop:v3")
    assert settings(step)["shop-canary", "spec.template.spec.containers.0.image"] == "shop:v3"


def test_the_only_container_without_a_counterpart_is_the_other_ones():
    stable, canary = deployment("shop", "v1", 9), deployment("shop-canary", "v2", 1)
    canary["spec"]["template"]["spec"]["containers"][0]["name"] = "app-canary"

    step = promote(pair(stable, canary))

    assert settings(step)["shop", "spec.template.spec.containers.0.image"] == "shop:v2"
    assert [each.key for each in step.left] == ["name"]


SIDECAR = {"name": "proxy", "image": "envoy:1"}


def test_another_image_is_for_the_application_wherever_it_runs_and_for_no_sidecar():
    stable, canary = deployment("shop", "v1", 9), deployment("shop-canary", "v2", 0)
    spec = canary["spec"]["template"]["spec"]
    spec["initContainers"] = [{"name": "migrate", "image": "shop:v2"}]
    spec["containers"].insert(0, SIDECAR)

    images = {
        key[1]: value
        for key, value in settings(start(pair(stable, canary), 1, image="shop:v3")).items()
        if key[1].endswith("image")
    }

    assert images == {
        "spec.template.spec.initContainers.0.image": "shop:v3",
        "spec.template.spec.containers.1.image": "shop:v3",
    }
    with pytest.raises(UsageError, match="which container of Deployment shop-canary is to run"):
        start(pair(stable, canary), 1, image="other:v3")
    canary["spec"]["template"]["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/default-container": "app"
    }
    named = settings(start(pair(stable, canary), 1, image="other:v3"))
    assert named["shop-canary", "spec.template.spec.containers.1.image"] == "other:v3"


def test_a_promotion_that_would_move_the_label_alone_is_refused():
    stable = deployment("shop", "v1", 9, image="echo:1", args=["-text=v1"])
    canary = deployment("shop-canary", "v2", 1, image="echo:1", args=["-text=v2"])

    with pytest.raises(
        UsageError, match=r"would be called v2 and run what it runs: .*args\[0\] at"
    ):
        promote(pair(stable, canary))
    for each, version in ((stable, "v1"), (canary, "v2")):
        each["spec"]["template"]["spec"]["containers"][0]["args"] = ["-text", version]
    step = promote(pair(stable, canary))
    assert settings(step)["shop", "spec.template.spec.containers.0.args.1"] == "v2"
    assert step.left == ()


def test_containers_that_cannot_be_matched_are_refused_at_the_start():
    stable, canary = deployment("shop", "v1", 9), deployment("shop-canary", "v2", 0)
    for each, names in ((stable, ("a", "b")), (canary, ("c", "d"))):
        each["spec"]["template"]["spec"]["containers"] = [
            {"name": name, "image": "shop:v1"} for name in names
        ]

    with pytest.raises(UsageError, match="no containers named c, d, and others instead"):
        start(pair(stable, canary), 1)


@pytest.mark.parametrize(("stable_has", "canary_has"), [(False, True), (True, False)])
def test_a_label_that_only_one_has_names_the_version_afterwards(stable_has, canary_has):
    stable, canary = deployment("shop", "v1", 9), deployment("shop-canary", "v2", 1)
    for each, has_label in ((stable, stable_has), (canary, canary_has)):
        if not has_label:
            del each["spec"]["template"]["metadata"]["labels"]["version"]

    step = promote(pair(stable, canary))

    assert settings(step)["shop", "spec.template.metadata.labels.version"] == "v2"


def test_a_selector_of_expressions_holds_the_version_too():
    stable, canary = deployment("shop", "v1", 9), deployment("shop-canary", "v2", 0)
    for each, version in ((stable, "v1"), (canary, "v2")):
        each["spec"]["selector"] = {
            "matchExpressions": [{"key": "version", "operator": "In", "values": [version]}]
        }

    with pytest.raises(UsageError, match="selector of Deployment shop contains its version"):
        start(pair(stable, canary), 1)


def test_templates_that_are_alike_do_not_differ():
    one, other = (inventory(deployment("a", "v1", env=[])).objects[0] for _ in range(2))

    assert list(differences(one.root, other.root)) == []


def test_the_settings_of_a_start_take_from_the_stable_what_they_give():
    step = start(pair(deployment("shop", "v1", 10), deployment("shop-canary", "v2", 0)), 3)

    assert settings(step) == {("shop", "spec.replicas"): 7, ("shop-canary", "spec.replicas"): 3}
