"""Executors: in worker processes that may die or hang, or in this process.

Both are a `concurrent.futures.Executor`, and callers use nothing else of them, so any other executor may stand in.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify.parallel.message import encode
from wdaverify.parallel.slot import Job, Slot, Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

P = ParamSpec("P")
T = TypeVar("T")

GRACE = 30.0
"""Seconds past its deadline after which a task counts as hung: longer than anything that cannot look at the clock takes."""


@dataclass(frozen=True, slots=True)
class Limited(Generic[P, T]):
    """A function that keeps a deadline by itself; a process in which it does not is stopped.

    Under an executor that knows nothing of limits it is just the function.

    Examples
    --------
    >>> with InlineExecutor() as executor:
    ...     executor.submit(Limited(max, Deadline.after(60)), 1, 2).result()
    2
    """

    function: Callable[P, T]
    deadline: Deadline

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function; whoever runs this enforces the deadline, or nobody does."""
        return self.function(*args, **kwargs)


def open_executor(workers: int, *, shared: Sequence[object] = ()) -> Executor:
    """The executor for a number of workers: this process for one (or none), spawned processes for more."""
    return InlineExecutor() if workers <= 1 else SpawnExecutor(workers, shared=shared)


class InlineExecutor(Executor):
    """Runs each task in `submit`, in this process; Ctrl-C goes through, every other error into the future.

    Examples
    --------
    >>> with InlineExecutor() as executor:
    ...     list(executor.map(abs, [-1, 2]))
    [1, 2]
    """

    def __init__(self) -> None:
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``fn(*args, **kwargs)``; the future is done.

        Raises
        ------
        RuntimeError
            After `shutdown`.
        """
        if self._closed:
            raise RuntimeError("the executor was shut down: open another one")
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - nothing is pending
        """Take no more tasks."""
        self._closed = True


class SpawnExecutor(Executor):
    """Runs tasks in spawned processes; one that dies or hangs loses its own task only, and is replaced.

    Functions, arguments and values travel as pickles, the arguments as they are in `submit`. A future can be cancelled
    as long as it is not done: the process that works on it ends. So, by the definition of `Future.running`, it is
    pending until it is done. Leaving the ``with`` block waits for all tasks, unless an exception leaves it: then all
    are cancelled. Either way no process is left. Processes end as well when this one is killed.

    A script that uses it needs ``if __name__ == "__main__":``.

    Parameters
    ----------
    workers
        Number of processes at a time; each starts when there is work for it.
    shared
        Objects that tasks have among their arguments, at any depth: sent to each process once, when it starts. They
        must not be changed meanwhile.
    grace
        Seconds that a `Limited` task may go on past its deadline.

    Raises
    ------
    InputError
        If `workers` is below 1.
    Exception
        Whatever shared objects raise that cannot be pickled.
    """

    def __init__(self, workers: int, *, shared: Sequence[object] = (), grace: float = GRACE) -> None:
        if workers < 1:
            raise InputError(f"workers {workers} is not a whole number >= 1")
        known = tuple(shared)
        self._terms = Terms(jobs=SimpleQueue(), shared=known, content=encode(known), begun=threading.Event(), grace=grace)
        self._unfinished: set[Future[Any]] = set()
        # Held while futures are cancelled, whose callbacks may submit something.
        self._closing = threading.RLock()
        self._closed = False
        self._slots = [Slot(self._terms) for _ in range(workers)]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self.shutdown()
        finally:
            # Finds nothing to do after a shutdown that was not interrupted.
            self.terminate_workers()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have ``fn(*args, **kwargs)`` run in a process.

        The future raises what the function raised; `WorkerDiedError` or `WorkerHungError` if the process gave no answer;
        `WorkerStartError` if no process ever could start.

        Raises
        ------
        RuntimeError
            After `shutdown`.
        """
        future: Future[T] = Future()
        deadline = fn.deadline if isinstance(fn, Limited) else Deadline()
        try:
            message = encode((fn, args, kwargs), self._terms.shared)
        except Exception as error:
            future.set_exception(error)
            return future
        with self._closing:
            if self._closed:
                raise RuntimeError("the executor was shut down: open another one")
            self._unfinished.add(future)
            self._terms.jobs.put(Job(future, message, deadline))
        future.add_done_callback(self._unfinished.discard)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; processes end after the last.

        Parameters
        ----------
        wait
            Whether to return only when all processes are gone.
        cancel_futures
            Whether to cancel the tasks on which nobody works yet.
        """
        with self._closing:
            self._closed = True
            if cancel_futures:
                self._cancel_untaken()
            for _ in self._slots:
                self._terms.jobs.put(None)
        if wait:
            for slot in self._slots:
                slot.join()

    def terminate_workers(self) -> None:
        """Take no more tasks, cancel every one that is not done, and return when all processes are gone."""
        self.shutdown(wait=False, cancel_futures=True)
        for future in list(self._unfinished):
            future.cancel()
        for slot in self._slots:
            slot.terminate()
        for slot in self._slots:
            slot.end()

    def _cancel_untaken(self) -> None:
        """Cancel the jobs on which nobody works, and tell those who wait for them."""
        with contextlib.suppress(Empty):
            while True:
                job = self._terms.jobs.get_nowait()
                if job is not None and job.future.cancel():
                    job.future.set_running_or_notify_cancel()
