"""What the tests of executors have done in other processes, which import this module and little else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FOREVER = 600
"""Seconds that no test waits for."""


def process_number(*_: Any) -> int:
    return os.getpid()


def same(value: Any) -> Any:
    return value


def announce(path: Path) -> None:
    """Say that a task has begun, and in which process, in one step."""
    draft = path.with_suffix(".draft")
    draft.write_text(str(os.getpid()))
    draft.rename(path)


def wait_for_announcement(path: Path) -> int:
    """The process that announced itself."""
    while not path.exists():
        time.sleep(0.02)
    return int(path.read_text())


def die(way: str) -> None:
    """End this process in the middle of a task."""
    if way == "exit":
        os._exit(3)
    if way == "system exit":
        sys.exit(4)
    os.kill(os.getpid(), getattr(signal, way))


def hang(path: Path, *, stubborn: bool = False) -> None:
    """Go on for ever, if stubborn even when asked to end."""
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    announce(path)
    while True:
        time.sleep(FOREVER)


def hang_with_a_program(path: Path) -> None:
    """Wait for a program that stays when nobody stops it, as backends do that run one."""
    program = subprocess.Popen(["sleep", str(FOREVER)], start_new_session=True)
    try:
        path.with_suffix(".program").write_text(str(program.pid))
        announce(path)
        program.wait()
    finally:
        program.kill()
        program.wait()


def value_after(other: Path | None, value: int, mark: Path | None = None) -> int:
    """A value, once another task has left its mark; leaves its own."""
    if other is not None:
        wait_for_announcement(other)
    if mark is not None:
        announce(mark)
    return value


class LoudError(Exception):
    """Pickles, but cannot be unpickled: its constructor takes two arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first}, {second}")


def raise_loud() -> None:
    raise LoudError("one", "two")


def unsendable() -> Any:
    return lambda: None


class Shared:
    """Counts its journeys, on both sides."""

    packed = 0
    unpacked = 0

    def __getstate__(self) -> dict[str, int]:
        Shared.packed += 1
        return {"size": 7}

    def __setstate__(self, state: dict[str, int]) -> None:
        Shared.unpacked += 1


def journeys(shared: list[Shared], other: Shared) -> tuple[int, bool, int]:
    """How often this process received the object, whether it is one object, and the process."""
    return Shared.unpacked, shared[0] is other, os.getpid()


class Poison:
    """Cannot be loaded by another process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (_refuse, ())


def _refuse() -> None:
    raise ValueError("poison")
