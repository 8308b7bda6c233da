"""ServiceSplitter of Consul."""

from __future__ import annotations

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect.rules.versions import VersionRule

NAMED = VersionRule.parse("stable=v1,canary=v2,v1=v1,v2=v2,v3=v3")


def entry(kind, name, spec):
    return (
        f"---\napiVersion: consul.hashicorp.com/v1alpha1\nkind: {kind}\n"
        f"metadata: {{name: {name}}}\nspec: {spec}\n"
    )


def splitter(*splits, name="shop"):
    listed = ", ".join(f"{{{each}}}" for each in splits)
    return entry("ServiceSplitter", name, f"{{splits: [{listed}]}}")


def router(destination):
    return entry("ServiceRouter", "shop", f"{{routes: [{{destination: {destination}}}]}}")


SUBSETS = splitter("weight: 90, serviceSubset: stable", "weight: 10, serviceSubset: canary")
SERVICES = splitter("weight: 90, service: v1", "weight: 10, service: v2")


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        (SUBSETS, {"v1": 9, "v2": 1}),
        (SUBSETS + router("{service: shop, numRetries: 3}"), {"v1": 9, "v2": 1}),
        (SUBSETS + router("{requestTimeout: 10s}"), {"v1": 9, "v2": 1}),
        (SERVICES, {"v1": 9, "v2": 1}),
        (splitter("weight: 99.5, service: v1", "weight: 0.5, service: v2"), {"v1": 199, "v2": 1}),
        (splitter("weight: 100, service: v1", "weight: 0, service: v2"), {"v1": 1}),
        (splitter("weight: 90", "weight: 10, service: v2", name="v1"), {"v1": 9, "v2": 1}),
        (  # of another service, without a subset: split again
            splitter("weight: 50, service: v3", "weight: 50, service: v2", name="shop")
            + splitter("weight: 50, service: v1", "weight: 50", name="v3"),
            {"v1": 1, "v2": 2, "v3": 1},
        ),
        (
            splitter("weight: 90, service: all", "weight: 10, service: v2")
            + entry("ServiceResolver", "all", "{defaultSubset: stable, connectTimeout: 1s}"),
            {"v1": 9, "v2": 1},
        ),
    ],
)
def test_a_splitter_divides_by_percent(split, text, weights):
    found, codes = split(text, "ServiceSplitter/" + ("v1" if "name: v1}\n" in text else "shop"),
                         versions=NAMED)  # fmt: skip

    assert {arm: weight * sum(weights.values()) for arm, weight in found.items()} == {
        arm: weight * sum(found.values()) for arm, weight in weights.items()
    }
    assert codes == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SUBSETS.replace("90", "80"), "add up to 100, got 90: Consul rejects it"),
        (SUBSETS.replace("90", "89.999"), "two decimals"),
        (SUBSETS.replace("90", "'90'"), "expected an integer"),
        (SUBSETS.replace("90", ".inf"), "expected an integer"),
        (SUBSETS.replace("stable", "gone"), "subset gone of shop"),
        (SERVICES.replace("v1}", "v1, namespace: other}"), "namespace of a split"),
        (SERVICES + router("{service: other}"), "decides before"),
        (SERVICES + router("{serviceSubset: stable}"), "decides before"),
        (SERVICES + entry("ServiceResolver", "v1", "{redirect: {service: v3}}"), "another service"),
        (
            splitter("weight: 100, service: v3")
            + splitter("weight: 100, service: shop", name="v3"),
            "contains itself",
        ),
    ],
)
def test_what_consul_rejects_or_is_not_evaluated_refuses(split, text, message):
    with pytest.raises(ExpectationError, match=message):
        split(text, "ServiceSplitter/shop", versions=NAMED)


@pytest.mark.parametrize("sign", ["v%s", '"v%s"', "`v%s`"])
def test_a_subset_whose_filter_names_its_version_has_it(split, sign):
    subsets = ", ".join(
        f"{name}: {{filter: 'Service.Meta.version == {sign % number}'}}"
        for name, number in (("stable", 1), ("canary", 2))
    )
    resolver = entry("ServiceResolver", "shop", f"{{subsets: {{{subsets}}}}}")

    assert split(SUBSETS + resolver, "shop")[0] == {"v1": 90, "v2": 10}
    other = resolver.replace("Meta.version ==", "Meta.version !=")
    with pytest.raises(ExpectationError, match="finds by a filter"):
        split(SUBSETS + other, "shop")
