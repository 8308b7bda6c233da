"""Text of templates that were not rendered: Kubernetes would get their placeholders as values."""

from __future__ import annotations

import re

_RENDERED_BY = (
    (
        re.compile(r"\{\{|\{%"),
        "render it first: helm template NAME CHART | weighbridge expect --manifests - …",
    ),
    (
        re.compile(r"\$[({\w]"),
        "replace its variables first: envsubst < FILE | weighbridge expect --manifests - …",
    ),
)


def rendered_by(text: str) -> str | None:
    """Return how to render a text that holds the placeholders of a template, if it does.

    Examples
    --------
    >>> rendered_by("registry.example/shop:${TAG}")
    'replace its variables first: envsubst < FILE | weighbridge expect --manifests - …'
    """
    return next((hint for pattern, hint in _RENDERED_BY if pattern.search(text)), None)
