"""What holds for every set of manifests, whatever its numbers and names."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sampler.expect.resolve import expect
from sampler.expect.rules.findings import FoundError
from sampler.expect.rules.model import Mixture, Question, mix
from sampler.expect.rules.objects import Inventory, KubeObject

replicas = st.lists(st.integers(0, 50), min_size=1, max_size=5)
route_weights = st.lists(st.integers(0, 1000), min_size=1, max_size=5)


def made(body):
    return KubeObject(body, lambda path: "/".join(map(str, path)))


def deployment(name, version, count):
    labels = {"app": "app", "version": version}
    return made(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": count, "template": {"metadata": {"labels": labels}}},
        }
    )


def service(name, selector):
    return made(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": selector},
        }
    )


def behind_one_service(counts, version="v{}"):
    pods = [deployment(f"d{i}", version.format(i), n) for i, n in enumerate(counts)]
    return [service("app", {"app": "app"}), *pods]


def behind_a_route(weights, counts):
    services = [service(f"s{i}", {"app": "app", "version": f"v{i}"}) for i in range(len(weights))]
    backends = [{"name": f"s{i}", "port": 80, "weight": w} for i, w in enumerate(weights)]
    route = made(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "app"},
            "spec": {"rules": [{"backendRefs": backends}]},
        }
    )
    return [route, *services, *behind_one_service(counts)[1:]]


def shares(objects, question):
    split = expect(Inventory(objects), question).split
    return {arm: Fraction(w, split.total) for arm, w in zip(split.arms, split.weights, strict=True)}


@given(replicas, st.integers(1, 1000))
def test_scaling_all_replicas_keeps_the_split(counts, factor):
    assume(any(counts))
    question = Question(service="app")

    scaled = shares(behind_one_service([n * factor for n in counts]), question)

    assert scaled == shares(behind_one_service(counts), question)


@given(replicas)
def test_weights_of_pods_are_the_replicas_that_were_declared(counts):
    assume(any(counts))

    split = expect(Inventory(behind_one_service(counts)), Question(service="app")).split

    assert split.weights == tuple(counts)


@given(route_weights, st.integers(1, 1000), st.integers(1, 9))
def test_scaling_all_weights_of_a_route_keeps_the_split_whatever_the_pods(weights, factor, pods):
    assume(any(weights))
    question = Question(route="app")

    scaled = shares(behind_a_route([w * factor for w in weights], [pods] * len(weights)), question)

    assert scaled == shares(behind_a_route(weights, [1] * len(weights)), question)
    assert scaled == {f"v{i}": Fraction(w, sum(weights)) for i, w in enumerate(weights)}


@given(replicas, st.randoms(use_true_random=False))
def test_the_order_of_documents_does_not_matter(counts, random):
    assume(any(counts))
    objects = behind_one_service(counts)
    shuffled = random.sample(objects, len(objects))

    question = Question(service="app")

    assert expect(Inventory(shuffled), question).split == expect(Inventory(objects), question).split


@given(replicas)
def test_renaming_versions_renames_the_labels_and_nothing_else(counts):
    assume(any(counts))
    names = {f"v{i}": f"label-{i}" for i in range(len(counts))}

    renamed = shares(behind_one_service(counts), Question(service="app", renames=names))

    plain = shares(behind_one_service(counts), Question(service="app"))
    assert renamed == {names[version]: share for version, share in plain.items()}


@given(replicas, st.integers(1, 9))
def test_versions_that_answer_with_one_label_add_up(counts, other):
    names = dict.fromkeys((f"v{i}" for i in range(len(counts))), "same")
    objects = [*behind_one_service(counts), deployment("other", "else", other)]

    split = expect(Inventory(objects), Question(service="app", renames=names)).split

    assert split.weight_of == {"same": sum(counts), "else": other}


@given(replicas, st.data())
def test_branches_of_a_route_never_share_the_only_label_that_gets_traffic(counts, data):
    weights = data.draw(st.lists(st.integers(0, 9), min_size=len(counts), max_size=len(counts)))
    assume(any(weights))
    names = dict.fromkeys((f"v{i}" for i in range(len(counts))), "same")
    objects, question = behind_a_route(weights, counts), Question(route="app", renames=names)

    if sum(map(bool, weights)) > 1:
        with pytest.raises(FoundError, match="any split between them would pass"):
            expect(Inventory(objects), question)
    else:
        assert expect(Inventory(objects), question).split.arms == ("same",)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 9), st.integers(1, 9)), min_size=1))
def test_the_shares_of_a_mixture_add_up_to_its_weights_exactly(parts):
    mixed = mix(
        (Fraction(weight), Mixture({"v1": Fraction(a), "v2": Fraction(b)}))
        for weight, a, b in parts
    )

    assert mixed.total == sum(weight for weight, _, _ in parts)
    assert mixed.weights["v1"] == sum(Fraction(w * a, a + b) for w, a, b in parts)
