"""A crew of spawned worker processes: each answers one task at a time, and one that dies loses its own task only."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from multiprocessing import connection as channels
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from wdaverify._errors import SolverError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from types import TracebackType

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Answer = TypeVar("Answer")

_PATIENCE = 5.0
"""Seconds that a terminated process has to end before it is killed."""


_GLANCE = 0.5
"""Seconds between two looks at whether processes that say nothing are still alive."""


class Crew(Generic[Shared, Task, Answer]):
    """Worker processes that live as long as the ``with`` block and are gone after it.

    Parameters
    ----------
    function
        A module-level function of the shared object and a task, which gives the answer.
    shared
        Sent to each process once.
    size
        Number of processes.
    """

    def __init__(self, function: Callable[[Shared, Task], Answer], shared: Shared, size: int) -> None:
        self.size = size
        self._function, self._shared = function, shared
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, int]] = {}
        self._worked = False

    def __enter__(self) -> Crew[Shared, Task, Answer]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        everyone = [*self._idle, *(worker for worker, _ in self._busy.values())]
        self._idle, self._busy = [], {}
        for worker in everyone:
            worker.process.terminate()
        for worker in everyone:
            worker.end()

    def work(self, tasks: Iterable[tuple[int, Task]]) -> Iterator[tuple[int, Answer | None]]:
        """Yield the key of each task with its answer, as they come; ``None`` where the process died.

        Raises
        ------
        SolverError
            If a process ends before any process ever gave an answer and without taking its task: none can start.
        Exception
            Whatever the function raised.
        """
        queue = iter(tasks)
        waiting = True
        while waiting or self._busy:
            while waiting and len(self._busy) < self.size:
                key, task = next(queue, (None, None))
                if key is None or task is None:
                    waiting = False
                else:
                    self._send(key, task)
            ready = channels.wait(list(self._busy), timeout=_GLANCE)
            # A death shows on the channel, unless something else holds its other end open: so the process is asked as well.
            gone = [channel for channel, (worker, _) in self._busy.items() if not worker.process.is_alive()]
            for channel in dict.fromkeys([*ready, *gone]):
                finished = self._receive(channel)  # type: ignore[arg-type]
                if finished is not None:
                    yield finished

    def _send(self, key: int, task: Task) -> None:
        """Give a task to an idle process, or to a new one."""
        with _deaf_to_interrupts():
            worker = self._idle.pop() if self._idle else _Worker(self._function, self._shared)
            self._busy[worker.channel] = worker, key
        # A process that is gone already shows at the other end of the channel.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            worker.channel.send(task)

    def _receive(self, channel: Connection) -> tuple[int, Answer | None] | None:
        """Take what a process says; nothing if it only says that it has begun."""
        worker, key = self._busy[channel]
        try:
            if not channel.poll() and not worker.process.is_alive():
                raise EOFError
            kind, content = channel.recv()
        except (EOFError, ConnectionResetError):
            del self._busy[channel]
            worker.end()
            if not self._worked:
                raise SolverError(
                    "a worker process ended before it began: a script that uses workers needs `if __name__ == '__main__':`"
                ) from None
            return key, None
        self._worked = True
        if kind == _BEGUN:
            return None
        del self._busy[channel]
        self._idle.append(worker)
        if kind == _RAISED:
            raise content
        return key, content


class _Worker:
    """One process and the channel to it."""

    def __init__(self, function: Callable[[Any, Any], object], shared: object) -> None:
        context = multiprocessing.get_context("spawn")
        self.channel, other = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(function, shared, other), daemon=True)
        self.process.start()
        other.close()

    def end(self) -> None:
        """Wait for the end of the process, which is dead or told to end, and leave nothing behind."""
        self.process.join(_PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()
        self.channel.close()


_BEGUN, _ANSWERED, _RAISED = "begun", "answered", "raised"


def _serve(function: Callable[[Any, Any], object], shared: object, channel: Connection) -> None:
    """The life of a worker process: answer tasks until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        channel.send((_BEGUN, None))
        while True:
            task = channel.recv()
            try:
                message = _ANSWERED, function(shared, task)
            except Exception as error:
                message = _RAISED, error
            channel.send(message)


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started in the block never see Ctrl-C, not even while they load; here it waits for the end of the block."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # The tracker unblocks the signal when it starts, so it must be there before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
