"""A place for one worker process at a time: it takes jobs from a queue, and replaces a process that is lost."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wdaverify._errors import WorkerDiedError, WorkerStartError
from wdaverify.parallel.message import decode
from wdaverify.parallel.process import PATIENCE, Worker

if TYPE_CHECKING:
    from concurrent.futures import Future
    from queue import SimpleQueue

    from wdaverify._deadline import Deadline

_LOADING = 60.0
"""Seconds that a process may take to start and to load what is shared, on top of the grace of its first task."""

_SLICE = 0.5
"""Seconds that a wait of the main thread lasts at most before Python looks for signals."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A task as it will be sent, and the future to fill."""

    future: Future[Any]
    message: bytes
    deadline: Deadline


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """What all slots of an executor have in common.

    Attributes
    ----------
    jobs
        Where they take their work; ``None`` ends the slot that takes it.
    shared, content
        The shared objects, and the message that carries them.
    begun
        Set as soon as any process has loaded.
    grace
        Seconds past its deadline after which a job counts as hung.
    """

    jobs: SimpleQueue[Job | None]
    shared: tuple[object, ...]
    content: bytes
    begun: threading.Event
    grace: float


class Slot:
    """A thread and the process that it feeds, which starts with the first job.

    A job's future stays pending until it is done, so that it can be cancelled all the while; the thread then ends the
    process and tells those who wait for the future.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._worker: Worker | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="wdaverify-slot", daemon=True)
        self._thread.start()

    def terminate(self) -> None:
        """Tell the process, if any, to end."""
        if (worker := self._worker) is not None:
            worker.terminate()

    def join(self) -> None:
        """Wait until the slot has ended, and its process with it."""
        # In slices, because Ctrl-C just before a wait does not cut it short; and on an event, because joining a thread does
        # not survive Ctrl-C in Python 3.11: the thread counts as ended from then on.
        while not self._ended.wait(_SLICE):
            pass
        self._thread.join()

    def end(self) -> None:
        """Wait as `join` does for a slot whose job was cancelled; insist."""
        # Normally the thread itself ends its process within its patience. It cannot in the middle of a message.
        if not self._ended.wait(3 * PATIENCE) and (worker := self._worker) is not None:
            worker.kill()
        self.join()

    def _work(self) -> None:
        try:
            while (job := self._terms.jobs.get()) is not None:
                self._settle(job)
                # Nothing here may keep a value alive that nobody else wants.
                del job
            self._drop()
        finally:
            self._ended.set()

    def _settle(self, job: Job) -> None:
        """Fill the future of a job; one that was cancelled tells those who wait for it."""
        try:
            value = None if job.future.cancelled() else self._value(job)
        except Exception as error:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(error)
            return
        if job.future.set_running_or_notify_cancel():
            job.future.set_result(value)

    def _value(self, job: Job) -> object:
        """What the function of a job returns; what it raises is raised."""
        if self._worker is None:
            self._load(job)
        return self._ask(job.message, job)

    def _load(self, job: Job) -> None:
        """Start a process and send it what is shared."""
        try:
            self._worker = Worker()
            self._ask(self._terms.content, job, extra=_LOADING)
        except (WorkerDiedError, OSError) as error:
            if self._terms.begun.is_set():
                raise WorkerDiedError(f"a new worker process failed to start: {error}") from error
            guard = "a script that uses workers needs `if __name__ == '__main__':`"
            raise WorkerStartError(f"no worker process can start ({error}): {guard}") from error
        except Exception:
            # It answered, but that it cannot load what is shared.
            self._drop()
            raise
        self._terms.begun.set()

    def _ask(self, message: bytes, job: Job, *, extra: float = 0.0) -> object:
        """Ask the process on behalf of a job; one that gives no answer is gone afterwards."""
        assert self._worker is not None
        until = max(job.deadline.at, time.monotonic()) + self._terms.grace + extra
        try:
            reply = self._worker.ask(message, until=until, unwanted=job.future.cancelled)
        except Exception:
            self._drop()
            raise
        succeeded, content = decode(reply, self._terms.shared)
        if not succeeded:
            raise content
        return content

    def _drop(self) -> None:
        """End the process, if any."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None
