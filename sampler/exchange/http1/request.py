"""Target to request: the bytes that are sent (RFC 9112)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.plan.target import USER_AGENT

if TYPE_CHECKING:
    from sampler.plan.target import Target


def header_fields(target: Target) -> tuple[tuple[str, str], ...]:
    """Return the header fields of every request, without those that manage the connection.

    ``Accept-Encoding: identity`` spares target and client the compression of a label.
    A field that the target names replaces ours of the same name.
    """
    ours = (
        ("Host", target.authority),
        ("User-Agent", USER_AGENT),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
    )
    replaced = {name.lower() for name, _ in target.headers}
    kept = tuple(field for field in ours if field[0].lower() not in replaced)
    return kept + target.headers


def encode(target: Target, *, close: bool) -> bytes:
    """Encode the request.

    Parameters
    ----------
    target : Target
        What is asked.
    close : bool
        Whether to ask the server to close the connection after its answer (RFC 9112
        section 9.6), so that TIME_WAIT stays on its side.

    Returns
    -------
    bytes
        Head and body.
    """
    lines = [f"{target.method} {target.request_target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in header_fields(target)]
    if target.body or target.method in {"POST", "PUT", "PATCH"}:
        lines.append(f"Content-Length: {len(target.body)}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + target.body
