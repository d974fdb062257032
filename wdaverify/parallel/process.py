"""One spawned process that answers messages one at a time, seen from both of its ends."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import CancelledError
from functools import partial
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, NoReturn

from wdaverify._errors import WorkerDiedError, WorkerHungError
from wdaverify.parallel.message import answer, decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

PATIENCE = 2.0
"""Seconds that a terminated process has to clean up (a solver's own process, temporary files) before it is killed."""

_GLANCE = 0.1
"""Seconds between two looks at whether a silent process is alive, late or no longer wanted."""


class Worker:
    """A process and the channel to it; one thread asks and ends it, any thread may `terminate` or `kill` it.

    The process is spawned, never forked: a fork after torch or HiGHS were used deadlocks.

    Raises
    ------
    OSError
        If the system has no room for another process.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._channel, other = context.Pipe()
        with other:
            self._process = context.Process(target=_serve, args=(other,), daemon=True)
            _block_interrupts()
            self._process.start()

    def ask(self, message: bytes, *, until: float, unwanted: Callable[[], bool]) -> bytes:
        """Send a message and wait for its answer.

        Parameters
        ----------
        until
            Point in time, as `time.monotonic` counts, from which silence is a hang.
        unwanted
            Asked now and then: whether the answer is of no use any more.

        Raises
        ------
        WorkerDiedError
            If the process ends instead of answering.
        WorkerHungError
            If there is no answer by then; the process still runs.
        CancelledError
            If the answer is not wanted any more; the process still runs.
        """
        try:
            self._channel.send_bytes(message)
            while not self._channel.poll(_GLANCE):
                if unwanted():
                    raise CancelledError
                if time.monotonic() >= until:
                    raise WorkerHungError("a worker process went on long after its deadline and was stopped")
                # A death shows on the channel, unless something else holds its other end open: so the process is asked too.
                if not (self._process.is_alive() or self._channel.poll()):
                    raise EOFError
            return self._channel.recv_bytes()
        except (EOFError, OSError):
            raise WorkerDiedError(f"a worker process {self._cause_of_death()} (out of memory? fewer workers need less)") from None

    def end(self) -> None:
        """End the process, whatever it does, and leave nothing behind."""
        self.terminate()
        self._process.join(PATIENCE)
        self.kill()
        self._process.join()
        # Another thread that starts a process may be reaping this one at the moment; then the collector closes it.
        with contextlib.suppress(ValueError):
            self._process.close()
        self._channel.close()

    def terminate(self) -> None:
        """Tell the process to end; `ask` sees it when it does."""
        # Nothing is left to tell it once it was closed.
        with contextlib.suppress(ValueError):
            self._process.terminate()

    def kill(self) -> None:
        """Kill the process; `ask` sees it die."""
        with contextlib.suppress(ValueError):
            self._process.kill()

    def _cause_of_death(self) -> str:
        self._process.join(PATIENCE)
        code = self._process.exitcode
        if code is None or code >= 0:
            return "ended" if code is None else f"ended with exit status {code}"
        return f"was killed by {signal.Signals(-code).name}"


def _block_interrupts() -> None:
    """Let the thread, and the processes that it starts, never see Ctrl-C, not even while they load.

    The tracker of multiprocessing unblocks the signal when it starts, so it must be there before.
    """
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _serve(channel: Connection) -> None:
    """The life of a worker process: load what is shared, then answer tasks until told to end or left alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_follow_parent, daemon=True).start()
    shared: list[object] = []
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        content = channel.recv_bytes()
        channel.send_bytes(answer(lambda: shared.extend(decode(content))))
        while True:
            channel.send_bytes(answer(partial(_run, channel.recv_bytes(), shared), shared))


def _run(message: bytes, shared: list[object]) -> object:
    """Do a task, a function and its arguments."""
    function, args, kwargs = decode(message, shared)
    return function(*args, **kwargs)


def _leave(number: int, _: Any) -> NoReturn:
    """Unwind, so that a solver's own process and temporary files go as well; asked again, go on unwinding."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _follow_parent() -> None:
    """End this process, which may be busy, when its parent is gone, even if something else holds the pipe to it open."""
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive() and os.getppid() == parent.pid:
        parent.join(1.0)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)
