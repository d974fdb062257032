"""Executors on other machines, named by an address: ``dask://HOST:PORT`` is a scheduler of Dask.

Whatever an address names is a `concurrent.futures.Executor`. With Dask it is that of ``Client.get_executor()``: a task whose
worker dies runs again on another one. Workers must see the files of a list under the same paths, and have wdaverify installed.
Schedulers on SLURM and other queues come from ``dask_jobqueue``; a pool of MPI processes (``mpi4py.futures``) is an executor as
it is, for use from Python.

Clocks of machines differ: a `Deadline` travels as the seconds that are left when its task is sent.
"""

from __future__ import annotations

import io
import logging
import pickle
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError

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
        yield Travelling(client.get_executor(pure=False)), hands


class Travelling(Executor):
    """Sends tasks through another executor, with deadlines that hold on other machines.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor() as threads:
    ...     Travelling(threads).submit(max, 1, 2).result()
    2
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As `concurrent.futures.Executor.submit`; what cannot be pickled is the future's error."""
        buffer = io.BytesIO()
        try:
            _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump((fn, args, kwargs))
        except Exception as error:
            failed: Future[T] = Future()
            failed.set_exception(error)
            return failed
        return self._executor.submit(_call, buffer.getvalue())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the other executor."""
        self._executor.shutdown(wait, cancel_futures=cancel_futures)


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, Deadline) and not obj.unlimited:
            return Deadline.after, (obj.remaining,)
        return NotImplemented


def _call(message: bytes) -> Any:
    """The work of a task, on its worker."""
    fn, args, kwargs = pickle.loads(message)  # noqa: S301 - from the process that submitted it
    return fn(*args, **kwargs)
