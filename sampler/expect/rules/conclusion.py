"""From weights by label to an expectation, and what keeps it from being one."""

from __future__ import annotations

from math import lcm
from typing import TYPE_CHECKING

from analysis.data.report import Source
from analysis.data.split import Split
from sampler.expect.rules.alike import alike
from sampler.expect.rules.findings import Finding, FindingCode, FoundError
from sampler.expect.rules.model import Expectation, NotYetError, Quantity

if TYPE_CHECKING:
    from sampler.expect.rules.model import Mixture
    from sampler.expect.rules.objects import KubeObject


def expectation(root: KubeObject, mixture: Mixture) -> Expectation:
    """Turn what stands behind an object into an expectation with integer weights.

    Raises
    ------
    NotYetError
        If no label gets any traffic: a split of zeros says nothing.
    FoundError
        If pods lack the port that they should answer at; if several share the only label that
        gets traffic; or if a number that matters is declared nowhere.
    """
    places = ", ".join(dict.fromkeys(number.where for number in mixture.numbers)) or root.place
    without = [each for each in mixture.findings if each.code is FindingCode.PORT_MISSING]
    if not mixture.total and without:
        raise FoundError(without[0])
    if not mixture.total:
        raise NotYetError(
            f"{root}: every version has weight 0 ({places}), so nothing can answer"
            if mixture.numbers
            else f"{root}: no endpoint is ready ({places})",
            hint="give at least one version replicas and weight",
        )
    found = alike(mixture) or _unknown_number(mixture)
    if found is not None:
        raise FoundError(found)
    scale = lcm(*(weight.denominator for weight in mixture.weights.values()))
    return Expectation(
        Split(
            tuple(mixture.weights), tuple(int(each * scale) for each in mixture.weights.values())
        ),
        Source(root.kind, root.full_name, places),
        mixture.numbers,
        tuple(dict.fromkeys(mixture.findings)),
        tuple(dict.fromkeys((root, *mixture.objects))),
    )


def _unknown_number(mixture: Mixture) -> Finding | None:
    """Return the finding that the split depends on replicas that only an autoscaler knows."""
    if len(mixture.weights) < 2:
        return None
    return next(
        (
            Finding(
                FindingCode.REPLICAS_UNKNOWN,
                f"{each.kind} {each.name} declares no replicas, and an autoscaler sets them: the "
                "split depends on their number, which is in no manifest",
                "read the live objects: --cluster; or declare replicas while the canary runs, or "
                "split traffic by the weights of a route",
                each.where,
            )
            for each in mixture.numbers
            if each.quantity is Quantity.AUTOSCALED
        ),
        None,
    )
