from __future__ import annotations

import pytest

from sampler.expect.rules.matching import host_matches, under_prefix


@pytest.mark.parametrize(
    ("pattern", "host", "several", "one"),
    [
        ("shop.example", "shop.example", True, True),
        ("shop.example", "SHOP.example.", True, True),
        ("shop.example", "www.shop.example", False, False),
        ("*.example", "shop.example", True, True),
        ("*.example", "www.shop.example", True, False),
        ("*.example", "example", False, False),
        ("*.example", ".example", False, False),
        ("*", "anything", True, True),
        ("", "anything", True, True),
    ],
)
def test_a_wildcard_stands_for_one_label_in_an_ingress_and_for_several_elsewhere(
    pattern, host, several, one
):
    assert host_matches(pattern, host) is several
    assert host_matches(pattern, host, is_one_label=True) is one


@pytest.mark.parametrize(
    ("prefix", "path", "under"),
    [
        ("/", "/shop", True),
        ("/shop", "/shop", True),
        ("/shop", "/shop/", True),
        ("/shop/", "/shop", True),
        ("/shop", "/shop/cart", True),
        ("/shop", "/shopping", False),
        ("/shop/cart", "/shop", False),
    ],
)
def test_a_prefix_counts_by_elements(prefix, path, under):
    assert under_prefix(prefix, path) is under
