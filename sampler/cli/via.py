"""``check --via URL --gate NAME``: a server weighs, and this command tells its verdict."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from sampler.base.errors import ExitCode, SamplingError, UsageError, WeighbridgeError
from sampler.base.tokens import authorization

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis import Report

_WAIT_S = 20
_TIMEOUT_S = _WAIT_S + 15.0
_MOST_BYTES = 64 << 20
_OWN = frozenset({
    "via", "gate", "token_file", "expect", "step", "cacert", "insecure", "json_file", "junit",
    "markdown", "html", "metrics", "dotenv", "annotations", "github",
})  # fmt: skip
"""Options that mean something where a server weighs; its gate has all others."""


def ask(ctx: click.Context, options: dict[str, Any], documents: Mapping[str, str]) -> ExitCode:
    """Ask a server, print the report of its run and write its documents.

    Parameters
    ----------
    ctx : click.Context
        Of ``check``.
    options : dict
        By parameter.
    documents : mapping of str to str
        As `sampler.cli.execute.execute` takes them.

    Returns
    -------
    ExitCode
        What the check would have ended with here.

    Raises
    ------
    UsageError
        If options do not fit, or the server refuses the request.
    SamplingError
        If the server cannot be reached, or could measure nothing.
    """
    from sampler.cli.execute import show  # noqa: PLC0415 - heavy imports wait for a command

    _refuse_misplaced(ctx)
    server = _Server(options)
    body = {"wait": 0}  # Ctrl-C has to know what to end
    body |= {name: options[name] for name in ("expect", "step") if options[name] is not None}
    document = server.ask("POST", f"/v1/gates/{options['gate']}/checks", body)
    try:
        while not document["final"]:
            document = server.ask("GET", f"/v1/checks/{document['id']}?wait={_WAIT_S}")
    except KeyboardInterrupt:
        server.ask("DELETE", f"/v1/checks/{document['id']}")  # nobody else shares it: it has no key
        raise
    if not document["report"]:
        status = 422 if document["exit_code"] == ExitCode.USAGE else 503
        raise _error(status, document["line"], document["hint"])
    show(server.report(document["report"]), documents)
    return ExitCode(document["exit_code"])


def _refuse_misplaced(ctx: click.Context) -> None:
    """Refuse options that would have no effect, and a server without a gate."""
    params = {param.name: param for param in ctx.command.params}
    for name, param in params.items():
        is_given = ctx.get_parameter_source(name or "") not in {None, ParameterSource.DEFAULT}
        if is_given and param.expose_value and name not in _OWN:
            shown = "URL" if isinstance(param, click.Argument) else max(param.opts, key=len)
            raise UsageError(
                f"{shown} is for a check that runs here; with --via, the gate has its own",
                hint=f"leave {shown} out, or set it in the server's [gate.NAME]",
            )
    if not ctx.params["gate"]:
        raise UsageError("--via needs --gate NAME", hint="GET URL/v1/gates lists them")


class _Server:
    """One server, asked over one connection at a time."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._url: str = options["via"]
        try:
            parts = urlsplit(self._url)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = None, None, None
        if parts is None or host is None or parts.scheme not in {"http", "https"} or parts.query:
            raise UsageError(
                f"--via {self._url}: expected the URL of a server", hint="write http://HOST:PORT"
            )
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Accept": "application/json", **authorization(options["token_file"])}
        self._tls = _context(options) if parts.scheme == "https" else None
        self._host, self._port = host, port

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the document that the server answers with.

        Raises
        ------
        WeighbridgeError
            If there is none.
        """
        status, data = self._exchange(method, path, body)
        try:
            document = json.loads(data)
            if status in {200, 202}:
                return {name: document[name] for name in _MEMBERS}
            detail, hint = str(document["detail"]), str(document["hint"])
        except (ValueError, KeyError, TypeError) as error:
            raise SamplingError(
                f"--via {self._url} answered {status} with what no server of gates says",
                hint="check host, port and path: weighbridge serve prints its URL",
            ) from error
        raise _error(status, detail, hint)

    def report(self, path: str) -> Report:
        """Return the report of a run, without the place of its samples, which are not here."""
        from analysis.render.document import from_json  # noqa: PLC0415 - as above

        status, data = self._exchange("GET", path)
        if status != 200:
            raise SamplingError(f"--via {self._url}: the report is gone, status {status}")
        try:
            report = from_json(data.decode())
        except ValueError as error:
            raise SamplingError(f"--via {self._url}: the report is none: {error}") from error
        return replace(report, run=replace(report.run, path=None))

    def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, bytes]:
        connection = (
            http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
            if self._tls is None
            else http.client.HTTPSConnection(
                self._host, self._port, timeout=_TIMEOUT_S, context=self._tls
            )
        )
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, self._prefix + path, data, self._headers)
            response = connection.getresponse()
            return response.status, response.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise SamplingError(
                f"--via {self._url} cannot be asked: {error}",
                hint="check that weighbridge serve listens there, and --cacert for https",
            ) from error
        finally:
            connection.close()


_MEMBERS = ("id", "final", "verdict", "line", "hint", "exit_code", "report")


def _error(status: int, detail: str, hint: str) -> WeighbridgeError:
    """Return the error that an answer of the server stands for."""
    kind = SamplingError if status >= 500 else UsageError
    return kind(detail, hint=hint or None)


def _context(options: Mapping[str, Any]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options["cacert"])
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"--cacert {options['cacert']}: {error}") from error
    if options["insecure"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
