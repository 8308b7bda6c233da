"""``weighbridge plan``: what a check will cost and what it can detect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import ExitCode, UsageError
from sampler.cli.documents import require_writable, unwritable, write_document
from sampler.cli.messages import say_line, say_warning
from sampler.cli.options import naming
from sampler.cli.policy import expect_option, make_policy, make_split, policy_options
from sampler.cli.screen import show
from sampler.cli.streams import deliver
from sampler.cli.values import Life, Rate

if TYPE_CHECKING:
    from analysis.planning.outlook import Outlook

_FIGURES = (".svg", ".png")


@click.command(
    name="plan",
    short_help="Show what a check will cost and what it can detect; sends nothing.",
    epilog="Example: weighbridge plan --expect v1=9,v2=1 --rate 50/s",
)
@expect_option(is_required=True)
@policy_options
@click.option(
    "--rate", type=Rate(), default=None, metavar="R/s",
    help="Connections per second, to show the cost in seconds, too.",
)  # fmt: skip
@click.option(
    "--connection", type=Life(), default="fresh", show_default=True, metavar="LIFE",
    help="Requests per connection, as of check: for MIN:MAX the need if a balancer picks per "
    "connection, which is less if it picks per request; auto takes no more than fresh.",
)  # fmt: skip
@click.option(
    "--exact", is_flag=True,
    help="Compute exact chances (takes seconds) instead of a closed form (instant); two versions.",
)  # fmt: skip
@click.option(
    "--json", "json_file", default=None, metavar="FILE",
    help="Write the outlook as JSON; '-' is stdout.",
)  # fmt: skip
@click.option(
    "--figure", default=None, metavar="FILE",
    help="Draw the operating characteristic to an .svg or .png file.",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, /, expect: str, **options: Any) -> None:
    """Show how many connections a check of this split takes, and what it can detect.

    Nothing is sent. The table has, for some true shares, the chance of each verdict and the
    average number of connections, if connections are independent and all carry a label.
    """
    from analysis.planning.outlook import foresee  # noqa: PLC0415 - heavy imports wait for a command
    from analysis.render.plan import plan_parts, plan_to_json  # noqa: PLC0415
    from sampler.cli.announcing import doubts  # noqa: PLC0415

    rate, file = options["rate"], options["json_file"]
    if rate is not None and not rate > 0:
        raise UsageError(f"--rate must be above 0 connections per second, got {rate:g}")
    if options["figure"] is not None and Path(options["figure"]).suffix not in _FIGURES:
        raise UsageError(
            f"--figure {options['figure']}: expected a file that ends in {' or '.join(_FIGURES)}",
            hint="for example --figure plan.svg",
        )
    if options["figure"] is not None:
        require_writable({"figure": options["figure"]})
    split = make_split(expect)
    policy = make_policy(split, options, per_connection=_per_connection(options["connection"]))
    try:
        outlook = foresee(split, policy, exact=options["exact"])
    except ValueError as error:
        raise UsageError(
            f"--exact: {error}", hint="leave --exact out: the other figures have no such limit"
        ) from error
    if options["connection"] == "auto":
        from sampler.run.pilot import forecast  # noqa: PLC0415 - as above

        say_line(forecast(split))
    show(lambda **_: plan_parts(outlook, rate), err=file == "-")
    for problem, hint in doubts(split, policy):
        say_warning(problem, hint)
    if file == "-":
        deliver(plan_to_json(outlook, rate))
    elif file is not None:
        write_document("json", Path(file), plan_to_json(outlook, rate))
    if options["figure"] is not None:
        _draw(outlook, Path(options["figure"]))
    ctx.exit(ExitCode.PASS)


def _per_connection(text: str) -> int:
    """Return the most answers of a connection."""
    from analysis.data.policy import MOST_PER_CONNECTION  # noqa: PLC0415 - as above
    from sampler.plan.load import ConnectionLife  # noqa: PLC0415

    with naming("--connection", text):
        longest = ConnectionLife.parse(text).longest
    if longest is None:
        raise UsageError(
            "--connection reuse: connections kept without end are as many as --concurrency",
            hint="plan with --connection fresh, or with a number of requests such as 10:30",
        )
    if longest > MOST_PER_CONNECTION:
        raise UsageError(
            f"--connection {text}: expected at most {MOST_PER_CONNECTION} requests on a connection"
        )
    return longest


def _draw(outlook: Outlook, path: Path) -> None:
    """Write the figure in the format that the file's name asks for."""
    from functools import partial  # noqa: PLC0415 - as above

    from analysis.figures import (  # noqa: PLC0415 - matplotlib, if asked for
        characteristic_in_words,
        operating_characteristic,
    )
    from sampler.show.drawing import to_png, to_svg  # noqa: PLC0415

    draw = partial(operating_characteristic, outlook)
    title = "Chance of each verdict, by the true share"
    try:
        if path.suffix == ".svg":
            text = to_svg(draw, "figure-plan", title, characteristic_in_words(outlook))
            path.write_text(text + "\n", encoding="utf-8")
        else:
            path.write_bytes(to_png(draw))
    except OSError as error:
        raise unwritable("figure", path, error.strerror) from error
