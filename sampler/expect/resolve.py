"""From objects and a question to the expectation: which rule is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.routes.argo import behind_rollout
from sampler.expect.routes.consul import behind_service_splitter
from sampler.expect.routes.contour import behind_http_proxy
from sampler.expect.routes.flagger import behind_canary
from sampler.expect.routes.gateway import behind_route
from sampler.expect.routes.ingress import behind_ingress
from sampler.expect.routes.ingress_places import places_of
from sampler.expect.routes.istio import behind_virtual_service
from sampler.expect.routes.knative import behind_knative_service
from sampler.expect.routes.nginx import behind_virtual_server, rules_of
from sampler.expect.routes.openshift import behind_openshift_route
from sampler.expect.routes.smi import behind_traffic_split
from sampler.expect.routes.traefik import behind_ingress_route, behind_traefik_service
from sampler.expect.rules.alike import require_told_apart
from sampler.expect.rules.conclusion import expectation
from sampler.expect.rules.services import behind_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sampler.expect.rules.model import Expectation, Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

    Rule = Callable[[KubeObject, Inventory, Question], Mixture]
    OneOf = Callable[[KubeObject, Inventory, Question, Node], Mixture]

ROUTES: dict[str, Rule] = {
    "HTTPRoute": behind_route,
    "GRPCRoute": behind_route,
    "VirtualService": behind_virtual_service,
    "TraefikService": behind_traefik_service,
    "IngressRoute": behind_ingress_route,
    "Ingress": behind_ingress,
    "Rollout": behind_rollout,
    "Canary": behind_canary,
    "HTTPRoute.policy.linkerd.io": behind_route,
    "Route": behind_openshift_route,
    "TrafficSplit": behind_traffic_split,
    "HTTPProxy": behind_http_proxy,
    "ServiceSplitter": behind_service_splitter,
    "VirtualServer": behind_virtual_server,
    "VirtualServerRoute": behind_virtual_server,
    "Service.serving.knative.dev": behind_knative_service,
}
"""The rule of each kind that divides traffic by weight."""

RULES: dict[str, tuple[Callable[[KubeObject], Iterable[Node]], OneOf]] = {
    "HTTPRoute": (lambda route: route["spec"]["rules"], behind_route),
    "GRPCRoute": (lambda route: route["spec"]["rules"], behind_route),
    "HTTPRoute.policy.linkerd.io": (lambda route: route["spec"]["rules"], behind_route),
    "VirtualService": (lambda route: route["spec"]["http"], behind_virtual_service),
    "IngressRoute": (lambda route: route["spec"]["routes"], behind_ingress_route),
    "Ingress": (lambda route: (each.node for each in places_of(route)), behind_ingress),
    "HTTPProxy": (lambda route: route["spec"]["routes"], behind_http_proxy),
    "VirtualServer": (rules_of, behind_virtual_server),
    "VirtualServerRoute": (rules_of, behind_virtual_server),
}
"""Of kinds that choose by the request: all their rules, and what stands behind one of them."""


def expect(inventory: Inventory, question: Question) -> Expectation:
    """Read the expected split from objects.

    Parameters
    ----------
    inventory : Inventory
        What was read.
    question : Question
        Which Service or route is meant, and how versions are named.

    Returns
    -------
    Expectation

    Raises
    ------
    ExpectationError
        If the object is not there, can be two, contradicts another, or leaves something
        open that the split depends on; the message names the places.
    """
    if bool(question.service) == bool(question.route):
        raise ExpectationError(
            "expected either --service or --route",
            hint="--service NAME for pods behind a Service, --route NAME for weights",
        )
    if question.service:
        root = inventory.named(("Service",), question.service, question.namespace)
        rule: Rule = behind_service
    else:
        root = find_route(inventory, question)
        rule = ROUTES[root.kind]
    mixture = rule(root, inventory, question)
    require_told_apart(mixture.objects, inventory, question)
    return expectation(root, mixture)


def find_route(inventory: Inventory, question: Question) -> KubeObject:
    """Find the route that is meant by ``NAME`` or ``KIND/NAME``.

    Raises
    ------
    ExpectationError
        If there is none, or more than one.
    """
    kind, slash, name = question.route.rpartition("/")
    kinds: tuple[str, ...] = tuple(ROUTES)
    if slash:
        # A short name means its kind, and those of other groups that are read like it.
        short = {each.lower(): each for each in ROUTES}.get(kind.lower(), "")
        kinds = tuple(each for each in ROUTES if short and f"{each}.".startswith(f"{short}."))
        if not kinds:
            raise ExpectationError(
                f"--route {question.route}: the kind {kind!r} is not supported",
                hint=f"kinds are {', '.join(ROUTES)}; declare other splits with --expect",
            )
    return inventory.named(kinds, name, question.namespace)
