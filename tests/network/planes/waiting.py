"""Wait until a data plane answers, from where the client will ask."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.network.bed import Bed

_TIMEOUT_S = 60

# A proxy listens before it knows its routes, so only a 200 counts. The pause between two tries
# keeps the processor free for the proxy that starts.
_WAITER = """
import http.client, sys, time, urllib.parse
place = urllib.parse.urlsplit(sys.argv[1]).netloc
until = time.monotonic() + float(sys.argv[2])
last = "nothing was tried"
while time.monotonic() < until:
    connection = http.client.HTTPConnection(place, timeout=5)
    try:
        connection.request("GET", "/")
        last = str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        last = repr(error)
    finally:
        connection.close()
    if last == "200":
        sys.exit(0)
    time.sleep(0.02)
sys.exit(last)
"""


def wait_until_answered(bed: Bed, url: str) -> None:
    """Ask `url` from the client's namespace until the answer is a 200.

    Raises
    ------
    TimeoutError
        If there was none within a minute.
    """
    done = subprocess.run(
        [*bed.prefix, sys.executable, "-I", "-S", "-c", _WAITER, url, str(_TIMEOUT_S)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * _TIMEOUT_S,
    )
    if done.returncode != 0:
        raise TimeoutError(f"{url} did not answer within {_TIMEOUT_S} s: {done.stderr.strip()}")
