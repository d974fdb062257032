"""Run one command in its own process group, within a time and a memory limit that hold whatever it does.

The group is watched from outside: when the time is over, or the memory of all its processes together exceeds the limit, it is
killed; signals that it ignores, loops in C and crashes cost nothing but itself. It dies with this process as well (`guard`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Stop(Protocol):
        """What says that an answer is not wanted any more, for example `threading.Event`."""

        def is_set(self) -> bool:
            """Whether it is so."""
            ...


_GUARD = Path(__file__).with_name("guard.py")

_GRACE, _GRACE_PART = 1.0, 0.05
"""Seconds, and part of the limit, that a command may take beyond its limit to write its answer."""

_WATCH = 0.05
"""Seconds between two looks at a process."""

_MARGIN = 2**30
"""Bytes that the kernel's limit on data allows beyond the watched one: reserved memory is not used memory."""

_LAST_WORDS = 4096
"""Bytes of the error output that are kept."""


class End(StrEnum):
    """How a process ended."""

    FINISHED = "finished"
    TIMEOUT = "timeout"
    MEMOUT = "memout"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is known of a process that is gone.

    Attributes
    ----------
    status
        Its exit status, negative for a signal.
    seconds
        Wall time.
    words
        The end of its error output.
    """

    end: End
    status: int
    seconds: float
    words: str


def run(program: Sequence[str], *, seconds: float | None, memory: int | None, errors: Path, stop: Stop | None = None) -> Ending:
    """Run a program to its end, or to the end of its limits.

    Parameters
    ----------
    program
        Absolute path and arguments.
    seconds
        Wall time that the command was told; it is killed a little later.
    memory
        Bytes that all its processes together may use.
    errors
        Where its error output goes.
    stop
        Asked now and then whether to end it.
    """
    until = None if seconds is None else seconds * (1.0 + _GRACE_PART) + _GRACE
    hard = 0 if memory is None else 2 * memory + _MARGIN
    started = time.monotonic()
    with errors.open("wb") as stream:
        guarded = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), str(hard), *program]
        process = subprocess.Popen(  # noqa: S603 - the program is ours
            guarded, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stream, start_new_session=True
        )
    try:
        end = _watch(process, started, until, memory, stop)
    finally:
        _kill(process)
    status = process.wait()
    words = errors.read_bytes()[-_LAST_WORDS:].decode("utf-8", "replace").strip()
    return Ending(end=end, status=status, seconds=time.monotonic() - started, words=words)


def _watch(process: subprocess.Popen[bytes], started: float, until: float | None, memory: int | None, stop: Stop | None) -> End:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_WATCH)
            return End.FINISHED
        if until is not None and time.monotonic() - started > until:
            return End.TIMEOUT
        if stop is not None and stop.is_set():
            return End.STOPPED
        if memory is not None and _used(process.pid) > memory:
            return End.MEMOUT


def _used(pid: int) -> int:
    """Resident bytes of a process and all below it."""
    total = 0
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(pid)
        for each in (top, *top.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += each.memory_info().rss
    return total


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: also what a command that finished has left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
