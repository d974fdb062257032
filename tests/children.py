"""Look at processes from outside, by their numbers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent


def children() -> list[str]:
    """Processes of which this one is the parent, dead ones included; the resource tracker lives as long as Python."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False
    )
    return [line for line in listed.stdout.splitlines() if "resource_tracker" not in line and " ps -ww" not in f" {line}"]


def alive(number: int) -> bool:
    """Whether a process runs; one that only waits for somebody to notice its end does not."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(number)], capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip()) and not listed.stdout.strip().startswith("Z")


def wait_for_end(number: int, seconds: float = 120.0) -> bool:
    """Whether a process ends within a time that is ample on any machine."""
    until = time.monotonic() + seconds
    while alive(number) and time.monotonic() < until:
        time.sleep(0.1)
    return not alive(number)


def start_script(path: Path, text: str) -> subprocess.Popen[str]:
    """Run a script in a process group of its own; it can import the tests."""
    path.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
