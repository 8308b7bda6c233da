"""Compiles what is written in C, where that is possible; weighbridge does without, but slower.

``WEIGHBRIDGE_COMPILE`` decides: ``auto`` (the default) compiles where it can, ``0`` never does,
``1`` compiles or fails. A wheel with compiled modules is for CPython since `OLDEST` on systems like
this one (its tag is ``cp311-abi3-PLATFORM``), one without them for all. In an editable installation
they lie beside their sources. docs/decisions/0028-a-compiled-part-that-may-be-missing.md says why.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

MODULES = ("sampler.exchange.transport._fastpath",)
"""What is compiled, each from the C file of its name."""

OLDEST = (3, 11)
"""Whose stable ABI they keep to: the oldest of `requires-python`."""

_RPATH = ("-Wl,-rpath", "-Wl,--rpath")

SETTING = "WEIGHBRIDGE_COMPILE"
_SETTINGS = ("auto", "0", "1")
_PART = (
    "the compiled part of weighbridge, which needs Linux, CPython with its headers and a C compiler"
    " (on Debian: gcc, libc6-dev, python3-dev)"
)


class CompiledModules(BuildHookInterface[Any]):
    """Adds them to a wheel, or puts them beside their sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile as the setting says; where that fails, say so in a line."""
        setting = os.environ.get(SETTING, "auto")
        if setting not in _SETTINGS:
            self.app.abort(f"{SETTING}: expected one of {', '.join(_SETTINGS)}; got {setting!r}")
        is_editable = version == "editable"
        if is_editable:
            _remove_compiled(self.root)
        if setting == "0":
            return
        self._folder = TemporaryDirectory(prefix="weighbridge-")
        place = self.root if is_editable else f"{self._folder.name}/lib"
        try:
            built = _compile(self.root, place, f"{self._folder.name}/objects")
        except Exception as error:  # noqa: BLE001 - of setuptools, of the system, or ours
            if setting == "1":
                self.app.abort(f"{SETTING}=1, and this build cannot have {_PART}: {error}")
            self.app.display_warning(f"built without {_PART}: {error}")
            return
        if not is_editable:
            build_data["pure_python"] = False
            system = next(tag for tag in platform_tags() if tag.startswith("linux_"))
            build_data["tag"] = f"cp{OLDEST[0]}{OLDEST[1]}-abi3-{system}"
            build_data["force_include"] |= {path: os.path.relpath(path, place) for path in built}

    def finalize(self, *_: object) -> None:
        """Remove what is in the wheel by now."""
        if folder := getattr(self, "_folder", None):
            folder.cleanup()


def _remove_compiled(root: str) -> None:
    """Remove what was compiled before: it may be of another source, or no longer wanted."""
    for module in MODULES:
        path = Path(root, *module.split("."))
        for stale in path.parent.glob(f"{path.name}.*.so"):
            stale.unlink()


def _compile(root: str, place: str, objects: str) -> list[str]:
    """Compile all modules into a folder, and return their paths there."""
    if sys.platform != "linux" or sys.implementation.name != "cpython":
        raise RuntimeError(f"this is {sys.implementation.name} on {sys.platform}")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise RuntimeError("this CPython has no GIL, and so no stable ABI")
    # Where it is missing, the package is built without.
    from setuptools import Distribution, Extension  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    class BuildExt(build_ext):  # type: ignore[misc]  # setuptools has no types
        def build_extensions(self) -> None:
            # Some Pythons have theirs in it, a path of this machine for a library nobody links.
            linker = [word for word in self.compiler.linker_so if not word.startswith(_RPATH)]
            self.compiler.set_executable("linker_so", linker)
            super().build_extensions()

    modules = [
        Extension(
            module,
            [f"{root}/{module.replace('.', '/')}.c"],
            py_limited_api=True,
            define_macros=[("Py_LIMITED_API", f"0x{OLDEST[0]:02X}{OLDEST[1]:02X}0000")],
            # No paths, so that a build elsewhere gives the same.
            extra_compile_args=[f"-ffile-prefix-map={root}=.", "-g0"],
            extra_link_args=["-Wl,--strip-all"],
        )
        for module in MODULES
    ]
    command = BuildExt(Distribution({"name": "weighbridge", "ext_modules": modules}))
    command.build_lib, command.build_temp = place, objects
    command.ensure_finalized()
    command.run()
    return [str(path) for path in command.get_outputs()]
