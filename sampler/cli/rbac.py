"""``weighbridge rbac``: the manifest of the rights that --cluster takes."""

from __future__ import annotations

import click

from sampler.cli.streams import deliver


@click.command(
    name="rbac",
    short_help="Print the manifest of the rights that --cluster takes; asks nothing.",
    epilog="Example: weighbridge rbac -n shop | kubectl apply -f -",
)
@click.option(
    "--namespace", "-n", default="", metavar="NAMESPACE",
    help="Namespace whose objects are read. Default: that of kubectl apply.",
)  # fmt: skip
@click.option(
    "--account", default="", metavar="USERNAME",
    help="Who may read them, as kubectl auth whoami names it: system:serviceaccount:NS:NAME, or a "
    "user. Default: a new service account, weighbridge.",
)  # fmt: skip
def command(namespace: str, account: str) -> None:
    """Print a Role that may list and watch what --cluster reads, its binding, and its account.

    A route with backends in another namespace takes the same rights there.
    """
    from sampler.expect.cluster.rights import Rights  # noqa: PLC0415 - heavy imports wait

    deliver(Rights(namespace, account).manifest())
