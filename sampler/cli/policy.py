"""Options for what is expected and how it is judged."""

from __future__ import annotations

from math import inf
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import ExpectationError, UsageError
from sampler.cli.sections import with_options
from sampler.cli.values import Chance, Count, Factor, Settle, Share, Weights, once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analysis import Policy, Split, Tolerance

_TOLERANCE = click.option(
    "--tolerance", default="auto", show_default=True, metavar="auto|4pp|10%",
    help="Accepted deviation from a share: auto is half a pod, or percentage points where half "
    "of one is less, so that 1:1 and 50:50 differ; 4pp is percentage points, 10% a part of the "
    "share; -2pp+4pp sets below and above, v2=2pp,v3=1pp,4pp sets it by label, and for all "
    "others.",
)  # fmt: skip
_ALPHA = click.option(
    "--alpha", type=Chance(), default=0.01, show_default=True, metavar="CHANCE",
    help="Error rate: chance that a correct split fails.",
)  # fmt: skip
_BETA = click.option(
    "--beta", type=Chance(), default=0.01, show_default=True, metavar="CHANCE",
    help="Error rate: chance that a wrong split passes.",
)  # fmt: skip
_INNER = click.option(
    "--inner", type=Share(), default="100%", show_default=True, metavar="SHARE",
    help="FAIL begins at this part of the tolerance; below 100% it comes sooner, but a share "
    "just within the tolerance may fail.",
)  # fmt: skip
_CALIBRATED = click.option(
    "--calibrated", is_flag=True,
    help="Spend alpha and beta whole: PASS some 7 % and FAIL some 20 % sooner. Assumes that "
    "connections are independent draws of one share; two versions, a fresh connection for each "
    "request, and a budget that is fixed beforehand.",
)  # fmt: skip

_MAX_SAMPLES = click.option(
    "--max-samples", type=Count(), default=None, metavar="N",
    help="End undecided after N connections. Default: enough for 99 % of correct splits to pass.",
)  # fmt: skip
judging_options = with_options(_TOLERANCE, _ALPHA, _BETA, _INNER, _CALIBRATED)
"""What counts as correct, and with which error rates."""
policy_options = with_options(_TOLERANCE, _ALPHA, _BETA, _INNER, _CALIBRATED, _MAX_SAMPLES)
"""The same and the budget, where nothing is sent."""
watching_options = with_options(_TOLERANCE, _BETA, _INNER)
"""What counts as correct where there is no end: no error rate of a run, and no budget."""
moving_options = with_options(
    click.option(
        "--settle", type=Settle(), default="auto", show_default=True, metavar="auto|TIME",
        help="With --cluster: how long to wait before judging after endpoints or weights change. "
        "auto: until the answers follow, 1 s to 10 s.",
    ),
    click.option(
        "--expected", type=click.Choice(["declared", "configured", "observed"]), default=None,
        help="With --cluster: which split decides. declared: of --manifests. configured: of routes "
        "and replicas. observed: of the endpoints. Default: the first of them that is known.",
    ),
)  # fmt: skip
"""For a split that is read from a cluster, and may change."""


def expect_option(*, is_required: bool = False) -> Callable[..., Any]:
    """Return the decorator that adds the option for the declared split."""
    return click.option(
        "--expect", required=is_required, type=Weights(), multiple=True, callback=once,
        metavar="v1=9,v2=1",
        help="Declared weights by label, shares (v1=90%,v2=10%) or JSON; a label with weight 0 "
        "must not answer.",
    )  # fmt: skip


def missing_options(of: str) -> Callable[..., Any]:
    """Return the decorator that adds the options for missing labels, of requests or connections."""
    return with_options(
        click.option(
            "--max-unlabelled", type=Share(), default="5%", show_default=True, metavar="SHARE",
            help=f"Largest share of {of} without a label.",
        ),
        click.option(
            "--missing-ratio", type=Factor(), default=None, metavar="X",
            help="Assume that no version loses labels more than X times as often as another; 1 "
            "ignores missing labels. Default: assume nothing, each counts as the worst case.",
        ),
    )  # fmt: skip


def make_split(text: str, option: str = "--expect", example: str = "v1=9,v2=1") -> Split:
    """Read whole numbers by label, the value of `option`."""
    from analysis import Split  # noqa: PLC0415 - heavy imports wait until a command runs

    try:
        return Split.parse(text)
    except ValueError as error:
        raise ExpectationError(
            f"{option} {quote(text)}: {error}", hint=f"write {example}"
        ) from error


def _make_tolerance(text: str) -> Tolerance:
    from analysis import Tolerance  # noqa: PLC0415 - as above

    try:
        return Tolerance.parse(text)
    except ValueError as error:
        raise UsageError(
            f"--tolerance {text}: {error}",
            hint="write 4pp or 10%; two-sided: -2pp+4pp; by label: v2=2pp,v1=4pp",
        ) from error


def make_policy(
    split: Split, options: Mapping[str, Any], tolerance: Tolerance | None = None, **more: Any
) -> Policy:
    """Make the policy from the options added here, and others by name."""
    from analysis import Policy  # noqa: PLC0415 - as above
    from analysis.bets.calibrated import require_calibratable  # noqa: PLC0415
    from analysis.data.errors import InputError  # noqa: PLC0415
    from analysis.data.policy import OutOfRangeError  # noqa: PLC0415

    missing = {}
    if "missing_ratio" in options:  # of `missing_options`
        missing["max_unlabelled"] = options["max_unlabelled"]
        missing["missing_ratio"] = options["missing_ratio"] or inf
    if tolerance is None:
        tolerance = _make_tolerance(options["tolerance"])
    try:
        tolerance.bands(split)
    except ValueError as error:
        raise UsageError(
            f"--tolerance {tolerance}: {error}",
            hint="give a smaller one, in percentage points (4pp) or as a part of the share (10%), "
            "and use labels of --expect",
        ) from error
    try:
        policy = Policy(
            alpha=options["alpha"],
            beta=options["beta"],
            tolerance=tolerance,
            inner=options["inner"],
            max_samples=options["max_samples"],
            calibrated=options["calibrated"],
            **missing,
            **more,
        )
        require_calibratable(split, policy)
    except OutOfRangeError as error:  # a field has the name of its option
        raise UsageError(f"--{error.field.replace('_', '-')} {error.problem}") from error
    except InputError as error:
        raise UsageError(
            f"--calibrated: {error}", hint="leave it out: the default has no such limit"
        ) from error
    return policy
