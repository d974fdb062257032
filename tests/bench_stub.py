"""Stands in for the program of an instance: the model's file says how it behaves. Run as ``python bench_stub.py ARGUMENTS``."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    """Behave."""
    model = next(Path(a) for a in sys.argv[2:] if not a.startswith("--"))
    output = next(Path(a.removeprefix("--output=")) for a in sys.argv if a.startswith("--output="))
    behaviour, _, value = model.read_text().strip().partition(" ")
    if log := os.environ.get("BENCH_STUB_LOG"):
        with Path(log).open("a") as stream:
            stream.write(f"{model.name}\n")
    if behaviour == "loop":  # in C, deaf to every signal that can be ignored
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        ctypes.PyDLL(None).sleep(3600)  # with the interpreter's lock held
    elif behaviour == "allocate":
        block = b"x" * (int(value) * 10**6)
        time.sleep(60 + len(block) * 0)
    elif behaviour == "segfault":
        ctypes.string_at(0)
    elif behaviour == "full":
        sys.exit("wdaverify: error: answer.json: cannot be written: No space left on device")
    elif behaviour == "nonsense":
        output.write_text(value)
    elif behaviour == "fail":
        sys.exit("wdaverify: error: it failed")
    else:
        time.sleep(float(value or 0))
        output.write_text(json.dumps({"kind": "property", "verdict": behaviour}))


if __name__ == "__main__":
    main()
