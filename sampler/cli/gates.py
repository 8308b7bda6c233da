"""``[gate.NAME]`` of a configuration: what a gate is, and the options of its check."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sampler.base.errors import UsageError, WeighbridgeError
from sampler.base.tokens import authorization
from sampler.cli.configuration import GATES, tables_of
from sampler.cli.manifests import complete_cluster_options
from sampler.cli.messages import closest
from sampler.cli.values import Duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sampler.serve.gates import Gate

_WATCH_URL = re.compile(r"https?://[^\s/?#@]+/?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
OF_THE_SERVER = {
    "out": "give it to serve: --out DIR",
    "keep": "give it to serve: --keep N",
    "name": "runs are named after their gate and session",
    **dict.fromkeys(
        ("json", "junit", "markdown", "html", "metrics", "dotenv", "annotations", "github",
         "github-output"),
        "each check has its documents: GET /v1/checks/ID/report",
    ),
    "workers": "a gate sends from the process that serves",
    **dict.fromkeys(("dask", "vantage"), "a gate sends from the process that serves"),
    "lost": "it is about the workers of check --workers",
    "via": "a gate weighs by itself",
    "gate": "a gate weighs by itself",
    "token-file": "a gate weighs by itself; give it to serve",
}  # fmt: skip


def _duration(value: object) -> float:
    text = value if isinstance(value, str | int | float) else repr(value)
    converted: float = Duration(86_400, is_positive=False).convert(str(text), None, None)
    return converted


def _one_of(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in words:
            raise click.BadParameter(f"expected {' or '.join(words)}")
        return str(value)

    return read


def _overrides(value: object) -> frozenset[str]:
    from sampler.serve.gates import OVERRIDES  # noqa: PLC0415 - heavy imports wait for a command

    names = value if isinstance(value, list) else [value]
    unknown = [each for each in names if each not in OVERRIDES]
    if unknown:
        raise click.BadParameter(f"expected some of {', '.join(OVERRIDES)}, got {unknown[0]!r}")
    return frozenset(names)


class _Setting(NamedTuple):
    """How a setting is read, the schema of its values, and what it says."""

    read: Callable[[object], Any]
    schema: Mapping[str, Any]
    description: str


def _choice(description: str, *words: str) -> _Setting:
    return _Setting(_one_of(*words), {"enum": list(words)}, description)


def _time(description: str) -> _Setting:
    form = f"^(?:{Duration.form})$"
    return _Setting(_duration, {"type": ["number", "string"], "pattern": form}, description)


SETTINGS: Mapping[str, _Setting] = {
    "kind": _choice(
        "check weighs at each request; watch tells the verdict of a weighbridge watch at url.",
        "check",
        "watch",
    ),
    "linger": _time("How long a verdict is repeated to requests of the same key."),
    "permit": _Setting(
        _overrides,
        {"type": ["string", "array"]},
        "What a request may say: expect, step, key, wait, fresh. Default: all of them.",
    ),
    "alpha_spending": _choice(
        "step halves alpha and beta with each further check of a key.", "none", "step"
    ),
    "on_inconclusive": _choice(
        "Flagger's rollout hook while INCONCLUSIVE: hold fails, go passes.", "hold", "go"
    ),
    "fail_after": _time("Flagger's rollback hook says yes after INCONCLUSIVE for this time."),
    "unmeasurable": _choice(
        "Argo's door where nothing could be measured: 503, or INCONCLUSIVE.",
        "error",
        "inconclusive",
    ),
}
"""What a gate has besides the options of ``check``."""


def gates_of(path: Path, ctx: click.Context) -> dict[str, Gate]:
    """Read the gates of a configuration.

    Parameters
    ----------
    path : Path
        ``weighbridge.toml``.
    ctx : click.Context
        Of the command line, whose other commands may have tables there, too.

    Raises
    ------
    UsageError
        If there is none, or one cannot be used: each is checked as if its options had been typed.
    """
    tables = tables_of(path, ctx).get(GATES, {})
    if not tables:
        raise UsageError(
            f"{path} has no gate",
            hint='add one: [gate.shop], with url = "http://shop/" and expect = "v1=9,v2=1"',
        )
    return {name: _gate(path, name, table) for name, table in tables.items()}


def _gate(path: Path, name: str, table: object) -> Gate:
    from sampler.serve.gates import DEFAULT_LINGER_S, OVERRIDES, Gate, Spending  # noqa: PLC0415

    place = f"{path}: [{GATES}.{name}]"
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {GATES}.{name} is no table", hint=f"write [{GATES}.NAME]")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{place}: the name stands in URLs and in names of folders",
            hint="use at most 63 letters, digits, dots, dashes and underscores",
        )
    settings = {key: value for key, value in table.items() if key in SETTINGS}
    options = {key: value for key, value in table.items() if key not in SETTINGS}
    read: dict[str, Any] = {}
    for key, value in settings.items():
        try:
            read[key] = SETTINGS[key].read(value)
        except click.BadParameter as error:
            raise UsageError(f"{place} {key} = {value!r}: {error.message}") from error
    if read.get("kind") == "watch":
        return _watched(place, name, options, read)
    for key in options:
        if key in OF_THE_SERVER:
            raise UsageError(f"{place} {key}: not for a gate", hint=OF_THE_SERVER[key])
        if (near := closest(key, list(SETTINGS))) and "-" not in key and "_" in key:
            raise UsageError(f"{place} {key}: a gate has no setting of this name", hint=near)
    params, weights = _checked(options, place)
    return Gate(
        name=name,
        options=options,
        weights=weights,
        is_live=params["is_live"],
        alpha=params["alpha"],
        beta=params["beta"],
        canary=params["canary"] or "",
        linger_s=read.get("linger", DEFAULT_LINGER_S),
        permit=read.get("permit", frozenset(OVERRIDES)),
        spending=Spending(read.get("alpha_spending", "none")),
        goes_on=read.get("on_inconclusive") == "go",
        fail_after_s=read.get("fail_after"),
        is_unmeasurable_error=read.get("unmeasurable") != "inconclusive",
    )


def _watched(place: str, name: str, options: dict[str, Any], read: dict[str, Any]) -> Gate:
    """Return a gate that tells what a watch says."""
    from sampler.serve.gates import WATCHED_LINGER_S, Gate  # noqa: PLC0415 - as above

    for key in options:
        if key not in {"url", "name", "token-file"}:
            raise UsageError(
                f"{place} {key}: not for a gate of kind watch",
                hint="it has url, where the watch listens, name, of a target there, and token-file",
            )
    url, target = options.get("url"), options.get("name", "")
    if not isinstance(url, str) or not _WATCH_URL.fullmatch(url):
        raise UsageError(
            f"{place} url: expected where the watch listens, got {url!r}",
            hint='write url = "http://127.0.0.1:9431/"',
        )
    token_file = options.get("token-file", "")
    if not isinstance(target, str):
        raise UsageError(f"{place} name: expected the name of a target, got {target!r}")
    if not isinstance(token_file, str):
        raise UsageError(f"{place} token-file: expected a file, got {token_file!r}")
    if token_file:
        try:
            authorization(Path(token_file))  # what cannot be read is said at the start
        except UsageError as error:
            raise UsageError(f"{place} {error}") from error
    return Gate(
        name,
        {},
        watch=url,
        target=target,
        token_file=token_file,
        linger_s=read.get("linger", WATCHED_LINGER_S),
        permit=read.get("permit", frozenset({"key", "wait", "fresh"})),
        is_unmeasurable_error=read.get("unmeasurable") != "inconclusive",
    )


def _checked(options: dict[str, Any], place: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Check the options of a gate as far as they can be without asking anybody."""
    from sampler.cli import check  # noqa: PLC0415 - heavy imports wait for a command

    params = check.options_of_table(options, place)
    if params["manifests"] == "-":
        raise UsageError(f"{place} manifests: stdin is read once", hint="name a file or a folder")
    try:
        complete_cluster_options(params)
    except UsageError as error:
        raise UsageError(f"{place} {error}", hint=error.hint) from error
    is_open = params["expect"] is None and params["manifests"] is None and not params["is_live"]
    if params["is_live"] or (is_open and params["url"] is not None):
        return params, {}  # a cluster, or each request, says what is expected
    try:
        plan, _ = check.planned(params["url"], params, None, "")
    except WeighbridgeError as error:
        raise UsageError(f"{place} {error}", hint=error.hint) from error
    return params, {} if plan.split is None else dict(plan.split.weight_of)
