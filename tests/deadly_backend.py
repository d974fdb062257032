"""A backend that ends or hangs the worker processes in which it opens a program; in the process that made it it is honest."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from wdaverify.program.backend import get_backend


class DeadlyBackend:
    name, version = "deadly", "0"

    def __init__(self, way: str, *, times: int, marks: Path) -> None:
        self.way, self.times, self.marks, self.home = way, times, marks, os.getpid()
        self.honest = get_backend("highs")
        self.capabilities = self.honest.capabilities

    def solve(self, program, options=None):
        return self.honest.solve(program, options)

    def open(self, program):
        if os.getpid() != self.home and self._claim():
            if self.way == "hang":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(600)
            os.kill(os.getpid(), signal.SIGKILL)
        return self.honest.open(program)

    def _claim(self) -> bool:
        """Whether this is one of the first so many; every process asks for the marks in the same order."""
        for k in range(self.times):
            try:
                (self.marks / str(k)).touch(exist_ok=False)
            except FileExistsError:
                continue
            return True
        return False
