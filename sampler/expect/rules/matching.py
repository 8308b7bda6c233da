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
        f"{route} is for {', '.join(wanted)}, not for {host}: the route does not apply",
        "use that host in the URL, or send it in a header: --header 'Host: NAME'",
        hosts.where,
    )


def only_rule(route: KubeObject, rules: Sequence[Node]) -> Node:
    """Return the only rule of a route, where no path was given.

    Raises
    ------
    ExpectationError
        If there are none, or several.
    """
    if len(rules) == 1:
        return rules[0]
    if not rules:
        raise ExpectationError(
            f"{route.place}: {route} has no rule with a backend",
            hint="see its spec, and check its kind and apiVersion",
        )
    raise ExpectationError(
        f"{route} has several rules: {', '.join(rule.where for rule in rules)}",
        hint="choose one by the URL that is requested: --url http://HOST/PATH",
    )


def no_rule(route: KubeObject, path: str) -> ExpectationError:
    """Make the error for a path that no rule of a route is about."""
    return ExpectationError(
        f"{route.place}: no rule of {route} matches the path {path} without further conditions",
        hint="check the path of the URL, and rules that need headers or other methods",
    )
