"""Which host and path a rule is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.findings import Finding, FindingCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sampler.expect.rules.objects import KubeObject, Node


def host_matches(pattern: str, host: str, *, is_one_label: bool = False) -> bool:
    """Whether a host name matches a pattern such as ``*.shop.example``.

    Parameters
    ----------
    pattern, host : str
    is_one_label : bool
        Whether ``*`` stands for one label only, as in an Ingress, or for several.
    """
    pattern, host = pattern.lower(), host.lower().rstrip(".")
    if pattern in {"", "*"}:
        return True
    if not pattern.startswith("*."):
        return pattern == host
    suffix = pattern[1:]
    first = host.removesuffix(suffix)
    return host.endswith(suffix) and bool(first) and not (is_one_label and "." in first)


def under_prefix(prefix: str, path: str) -> bool:
    """Whether a path lies under a prefix, by elements: ``/a`` holds ``/a/b``, not ``/ab``."""
    trimmed = prefix.rstrip("/")
    return path == trimmed or path.startswith(trimmed + "/") or not trimmed


def wrong_host(route: KubeObject, hosts: Node, wanted: Sequence[str], host: str) -> Finding:
    """Return the finding that a route is not about the host that is asked."""
    return Finding(
        FindingCode.HOST_MISMATCH,
        f"{route} is for {', '.join(wanted)}, and {host} is asked: the route does not apply",
        "ask that host, or send it along: --header 'Host: NAME'",
        hosts.where,
    )


def only_rule(route: KubeObject, rules: Sequence[Node]) -> Node:
    """Return the only rule of a route whose path nobody said.

    Raises
    ------
    ExpectationError
        If there are none, or several.
    """
    if len(rules) == 1:
        return rules[0]
    if not rules:
        raise ExpectationError(
            f"{route.place}: {route} has no rule that sends traffic anywhere",
            hint="see its spec, and that its kind and apiVersion are what was meant",
        )
    raise ExpectationError(
        f"{route} has several rules: {', '.join(rule.where for rule in rules)}",
        hint="say what is asked, so that one of them is chosen: --url http://HOST/PATH",
    )


def no_rule(route: KubeObject, path: str) -> ExpectationError:
    """Make the error for a path that no rule of a route is about."""
    return ExpectationError(
        f"{route.place}: no rule of {route} is about the path {path} without further conditions",
        hint="see the path of the URL, and rules that want headers or other methods",
    )
