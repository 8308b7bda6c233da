"""The image, run as a kubelet runs it: read-only, without capabilities, as its own first process.

No container runtime is needed for that: a mount and a process namespace, and ``setpriv``. What the
image says of its user, environment and entry point is taken from it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.processes import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

NEEDS = ("root", "buildah", "mmdebstrap")
_BUILT = REPOSITORY / "build" / "image"
BUILD_S = 900
_START = """
set -eu
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro,nosuid,nodev "$ROOT"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs -o mode=1777,size=64m tmp "$ROOT/tmp"
mount --bind "$WORK" "$ROOT/work"
mount -t tmpfs -o mode=755 dev "$ROOT/dev"
for device in null zero random urandom; do
    touch "$ROOT/dev/$device"
    mount --bind "/dev/$device" "$ROOT/dev/$device"
done
touch "$ROOT/dev/termination-log"
mount --bind "$LOG" "$ROOT/dev/termination-log"
exec chroot "$ROOT" setpriv --reuid "$UID_" --regid "$GID_" --clear-groups \
    --bounding-set=-all --inh-caps=-all --no-new-privs env --ignore-environment --chdir "$AT" "$@"
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What `packaging/image.sh` built.

    Parameters
    ----------
    root : Path
        Its files, unpacked.
    config : dict
        As the OCI image specification has it.
    digest : str
        Of its manifest.
    """

    root: Path
    config: dict[str, Any]
    digest: str

    def command(
        self, work: Path, log: Path, *arguments: str, entry: tuple[str, ...] | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """Give a command line that runs the image, and its environment.

        Parameters
        ----------
        work : Path
            Folder that is mounted at the working directory.
        log : Path
            File that is mounted as the termination log.
        *arguments : str
            For the entry point.
        entry : tuple of str or None
            In place of the image's own.
        """
        config = self.config["config"]
        user, _, group = config["User"].partition(":")
        os.chown(work, int(user), int(group))
        log.touch()
        log.chmod(0o666)
        variables = {
            "ROOT": str(self.root),
            "WORK": str(work),
            "LOG": str(log),
            "UID_": user,
            "GID_": group,
            "AT": config["WorkingDir"],
        }
        inside = (*config["Env"], *(entry or config["Entrypoint"]), *arguments)
        namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL")
        return [*namespaces, "sh", "-c", _START, "sh", *inside], os.environ | variables


def built() -> Image:
    """Build the image unless it is there."""
    subprocess.run(
        ["bash", "packaging/image.sh"],
        cwd=REPOSITORY,
        check=True,
        env=os.environ | {"PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        timeout=BUILD_S,
    )
    return read()


def read() -> Image:
    """Read what was built."""
    config = json.loads((_BUILT / "config.json").read_text("utf-8"))
    digest = (_BUILT / "digest").read_text("utf-8").strip()
    return Image(_BUILT / "root", config, digest)
