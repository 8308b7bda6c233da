"""A weigher that measures nothing: its jobs come to what the gate's URL says, one word a job.

``PASS,FAIL`` passes first and fails from then on. ``HANG`` waits until it is stopped, ``CRASH``
ends the process, ``NONSENSE`` says what no weigher says, ``GARBLED`` fails after a line that is no
JSON. A look at a cluster sees the weights of
the option ``look``, or never ends.
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from urllib.parse import urlsplit

KINDS = {"UNMEASURABLE": "unmeasurable", "REFUSED": "refused", "BUG": "bug"}


def outcome(word):
    verdict = word if word in {"PASS", "FAIL"} else "INCONCLUSIVE"
    return {
        "verdict": verdict,
        "reason": word.lower(),
        "line": f"{verdict}: as scripted",
        "kind": KINDS.get(word, "measured"),
        "connections": 100,
        "elapsed_s": 0.5,
        "expected": {"v1": 0.9, "v2": 0.1},
        "observed": {"v1": 0.9, "v2": 0.1},
    }


def leave_run(job):
    """Leave beside the run what a server that starts again reads."""
    folder = Path(job["out"]) / job["name"]
    folder.mkdir(parents=True)
    (folder / "session.json").write_text(json.dumps(job["session"]), encoding="utf-8")
    print(json.dumps({"run": str(folder)}), flush=True)


def do(job):
    if job["do"] == "look":
        options = job["options"]
        weights = options.get("looks", {}).get(str(options.get("step")), options["look"])
        if weights == "HANG":
            sys.stdin.readline()
        return {"weights": weights} if weights else {"outcome": outcome("UNMEASURABLE")}
    if job["do"] == "recover":
        return {"outcome": outcome("INTERRUPTED")}
    leave_run(job)
    url = job["options"]["url"]
    words = urlsplit(url).path.strip("/").split(",")
    counter = Path(job["out"]) / f"count-{zlib.crc32(url.encode())}"  # of all weighers
    with counter.open("a+", encoding="utf-8") as file:
        file.write(".")
    word = words[min(counter.stat().st_size - 1, len(words) - 1)]
    if word == "CRASH":
        sys.exit(1)
    if word == "NONSENSE":
        return {"outcome": {"verdict": 5}}
    if word == "GARBLED":
        print("a library warns", flush=True)
        word = "FAIL"
    if word == "HANG":
        sys.stdin.readline()
        word = "INCONCLUSIVE"
    return {"outcome": outcome(word) | {"hint": json.dumps(job["options"])}}


def main():
    while line := sys.stdin.readline():
        job = json.loads(line)
        if job["do"] != "stop":
            print(json.dumps({"end": do(job)}), flush=True)


if __name__ == "__main__":
    main()
