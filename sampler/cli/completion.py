"""``weighbridge completion``: the script with which a shell completes our command lines."""

from __future__ import annotations

import click

from sampler.cli.streams import deliver


@click.command(
    name="completion",
    short_help="Print the script with which bash, zsh or fish completes commands.",
    epilog='In ~/.bashrc, or in ~/.zshrc after compinit: eval "$(weighbridge completion bash)" '
    "(or zsh). In ~/.config/fish/config.fish: weighbridge completion fish | source",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script for SHELL: eval it in bash and zsh, source it in fish."""
    from click import shell_completion as shells  # noqa: PLC0415 - for a shell alone

    kinds = {"bash": shells.BashComplete, "zsh": shells.ZshComplete, "fish": shells.FishComplete}
    script = kinds[shell](ctx.find_root().command, {}, "weighbridge", "_WEIGHBRIDGE_COMPLETE")
    # Not the source of BashComplete, which starts a bash to ask for its version.
    deliver(shells.ShellComplete.source(script))
