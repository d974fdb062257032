"""Executors on other machines, named by an address: ``dask://HOST:PORT`` is a scheduler of Dask.

Whatever an address names is a `concurrent.futures.Executor`. With Dask it is that of ``Client.get_executor()``: a task whose
worker dies runs again on another one. Workers must see the files of a list under the same paths, and have wdaverify installed.
Schedulers on SLURM and other queues come from ``dask_jobqueue``; a pool of MPI processes (``mpi4py.futures``) is an executor as
it is, for use from Python.

Clocks of machines differ: a `Deadline` travels as the seconds that are left when its task is sent. A task that its client has
cancelled, or whose client is gone, can notice it (`Unwanted`). When the scheduler itself is lost, everything that waits for it
ends with `RunStoppedError`.
"""

from __future__ import annotations

import io
import logging
import pickle
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError, RunStoppedError, WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
T = TypeVar("T")

_DASK = "dask://"

_PATIENCE = 20
"""Seconds until a scheduler counts as not there."""


@contextmanager
def remote_executor(address: str) -> Iterator[tuple[Executor, int]]:
    """An executor and the number of tasks that it runs at a time; left, it is closed.

    Raises
    ------
    InputError
        If the address is of no known kind, Dask is not installed, or no scheduler with workers answers.
    """
    if not address.startswith(_DASK) or len(address) == len(_DASK):
        raise InputError(f"'{address}' is no address of an executor: give dask://HOST:PORT")
    try:
        import distributed
    except ImportError:
        raise InputError("Dask is not installed: pip install 'wdaverify[dask]'") from None
    dask: Any = distributed
    logging.getLogger("distributed").setLevel(logging.ERROR)
    try:
        client = dask.Client(f"tcp://{address.removeprefix(_DASK)}", timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(f"no Dask scheduler answers at {address}: {error}") from None
    with client:
        hands = sum(client.nthreads().values())
        if hands == 0:
            raise InputError(f"the Dask scheduler at {address} has no workers")
        yield Travelling(client.get_executor(pure=False), name=address, deaths=(dask.KilledWorker,)), hands


class Travelling(Executor):
    """Sends tasks through another executor, with deadlines that hold on other machines, and errors that say what was lost.

    Parameters
    ----------
    name
        How errors name the executor.
    deaths
        Exceptions that mean that the workers of a task died, again and again.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor() as threads:
    ...     Travelling(threads).submit(max, 1, 2).result()
    2
    """

    def __init__(self, executor: Executor, *, name: str = "the executor", deaths: tuple[type[Exception], ...] = ()) -> None:
        self._executor, self._name, self._deaths = executor, name, deaths

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As `concurrent.futures.Executor.submit`; what cannot be pickled is the future's error.

        The future raises `WorkerDiedError` if no worker survived the task, `RunStoppedError` if the executor gave it up.
        """
        buffer, outer = io.BytesIO(), Future[T]()
        try:
            _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump((fn, args, kwargs))
        except Exception as error:
            outer.set_exception(error)
            return outer
        inner = self._executor.submit(_call, buffer.getvalue())
        outer.add_done_callback(lambda future: future.cancelled() and inner.cancel())
        inner.add_done_callback(partial(self._relay, outer))
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the other executor."""
        self._executor.shutdown(wait, cancel_futures=cancel_futures)

    def _relay(self, outer: Future[Any], inner: Future[Any]) -> None:
        """Hand on what came of a task, unless nobody wants it any more."""
        if not outer.set_running_or_notify_cancel():
            return
        if inner.cancelled():
            outer.set_exception(RunStoppedError(f"{self._name} gave up a task: the scheduler was lost or has ended"))
        elif isinstance(error := inner.exception(), self._deaths):
            outer.set_exception(WorkerDiedError(f"{self._name}: one worker after the other died of a task (out of memory?)"))
        elif error is not None:
            outer.set_exception(error)
        else:
            outer.set_result(inner.result())


class Unwanted:
    """Whether the task that asks is of no use any more: asked on a worker of Dask, false everywhere else.

    Like an event that somebody sets when the client cancels the task, or is gone.

    Examples
    --------
    >>> Unwanted().is_set()
    False
    """

    def is_set(self) -> bool:
        """Ask."""
        try:
            from distributed import get_worker

            worker = get_worker()
            return bool(worker.state.tasks[worker.get_current_task()].state == "cancelled")
        except (ImportError, ValueError, KeyError, AttributeError):  # no Dask; no worker; a task that it has forgotten
            return False


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, Deadline) and not obj.unlimited:
            return Deadline.after, (obj.remaining,)
        return NotImplemented


def _call(message: bytes) -> Any:
    """The work of a task, on its worker."""
    fn, args, kwargs = pickle.loads(message)  # noqa: S301 - from the process that submitted it
    return fn(*args, **kwargs)
