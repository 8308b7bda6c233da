"""Whether `sampler` and `analysis` are ours: both are names that other people's folders have.

A folder or file of that name beside a script, in the working directory or on PYTHONPATH comes
before what is installed. Its owner would read "cannot import name 'Policy' from 'analysis'".
"""

from __future__ import annotations

import os
import sys

_OURS = ("sampler", "analysis")
_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib costs the start of every command more than all else here


def refuse_shadows() -> None:
    """Return if the packages behind weighbridge are its own, imported already or not yet.

    Raises
    ------
    ImportError
        If another module has the name of one of them; says where it is and what to do.
    """
    for name in _OURS:
        found = _place_of(name)
        if found is not None and not _is_ours(name, found):
            raise ImportError(
                f"weighbridge needs its own package {name!r} and finds {found}, which has the "
                f"same name and comes first on the import path. Rename it, or start Python "
                f"elsewhere{_or_safely()}; then start a new process or kernel.",
                name=name,
                path=found,
            )


def _place_of(name: str) -> str | None:
    """Return the file or folder that `import` takes for a name; None if there is none."""
    module = sys.modules.get(name)
    if module is not None:
        found, folders = getattr(module, "__file__", None), getattr(module, "__path__", ())
    else:
        # As `importlib.util.find_spec`, whose import costs every command some milliseconds.
        specs = (finder.find_spec(name, None) for finder in sys.meta_path)
        spec = next(filter(None, specs), None)
        if spec is None:
            return None
        found = spec.origin if spec.has_location else None
        folders = spec.submodule_search_locations or ()
    return found or next(iter(folders), None)


def _is_ours(name: str, found: str) -> bool:
    ours = os.path.join(_HOME, name)  # noqa: PTH118 - as above
    folder = os.path.dirname(found)  # noqa: PTH120 - as above
    return folder == ours or os.path.realpath(folder) == os.path.realpath(ours)


def _or_safely() -> str:
    """Return the option that leaves the first folder out of the path, where it would help."""
    return "" if sys.flags.safe_path else " or with the option -P (python -P …)"
