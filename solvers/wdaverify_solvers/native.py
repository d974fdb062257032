"""Calls into native solvers that Ctrl-C and a deadline can still end."""

from __future__ import annotations

import math
import weakref
from queue import SimpleQueue
from threading import TIMEOUT_MAX, Event, Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline

Answer = TypeVar("Answer")

GRACE_SECONDS = 5.0
"""How long a solver may overrun its time limit before it is cancelled, and how long it then has to come back."""


def call_native(
    solve: Callable[[], Answer], *, cancel: Callable[[], None] | None, deadline: Deadline, grace: float = GRACE_SECONDS
) -> Answer:
    """The value of ``solve()``, run in a thread of its own; as `NativeThread.call`."""
    return NativeThread().call(solve, cancel=cancel, deadline=deadline, grace=grace)


class NativeThread:
    """A thread that runs native calls one after the other while the calling thread waits.

    It starts with the first call and ends when its owner is gone. It is a daemon, so that a solver that cannot be
    stopped does not keep the process alive.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._started = False

    def call(
        self, solve: Callable[[], Answer], *, cancel: Callable[[], None] | None, deadline: Deadline, grace: float = GRACE_SECONDS
    ) -> Answer:
        """The value of ``solve()``.

        Python answers Ctrl-C only between its own instructions, never inside a native call; the waiting thread can. It
        then calls `cancel`, gives the solver a few seconds to come back and raises the interrupt again. The same happens
        to a solver that ignores its own time limit. With no way to `cancel` (``None``) the solver is left behind at once.

        Raises
        ------
        TimeoutError
            If the solver came back neither at its deadline nor when cancelled. Its thread is left behind.
        KeyboardInterrupt
            If the user interrupts.
        """
        answers: list[Answer] = []
        failures: list[BaseException] = []
        done = Event()  # an interrupted Thread.join takes the thread for finished, an event does not

        def work() -> None:
            try:
                answers.append(solve())
            except BaseException as error:  # whatever it is, it belongs to the caller
                failures.append(error)
            finally:
                done.set()

        patience = None if math.isinf(deadline.remaining) else min(deadline.remaining + grace, TIMEOUT_MAX)
        try:
            self._start()
            self._jobs.put(work)
            done.wait(patience)
        finally:
            if cancel is not None and not done.is_set():
                cancel()
                done.wait(grace)
        if not done.is_set():
            raise TimeoutError("the solver did not stop at its time limit and was given up")
        if failures:
            raise failures[0]
        return answers[0]

    def _start(self) -> None:
        """Start the thread; the end of this object is its last job."""
        if not self._started:
            self._started = True
            Thread(target=_work_off, args=(self._jobs,), name="native solver", daemon=True).start()
            weakref.finalize(self, self._jobs.put, None).atexit = False


class NativeThreads:
    """Threads for native calls from anywhere: one that came back serves the next call, one that did not is left alone.

    Starting a thread costs as much as a small solve.
    """

    def __init__(self) -> None:
        self._idle: list[NativeThread] = []

    def __reduce__(self) -> tuple[type[NativeThreads], tuple[()]]:
        """Threads stay in their process: a copy elsewhere has its own."""
        return NativeThreads, ()

    def call(
        self, solve: Callable[[], Answer], *, cancel: Callable[[], None] | None, deadline: Deadline, grace: float = GRACE_SECONDS
    ) -> Answer:
        """The value of ``solve()``; as `NativeThread.call`."""
        try:
            thread = self._idle.pop()
        except IndexError:
            thread = NativeThread()
        answer = thread.call(solve, cancel=cancel, deadline=deadline, grace=grace)
        self._idle.append(thread)
        return answer


def _work_off(jobs: SimpleQueue[Callable[[], None] | None]) -> None:
    """Run jobs until ``None`` comes, keeping none of them alive."""
    while (job := jobs.get()) is not None:
        job()
        del job
