"""Executors on other machines, named by an address: ``dask://HOST:PORT`` is a scheduler of Dask.

Whatever an address names is a `concurrent.futures.Executor`. With Dask it is that of ``Client.get_executor()``: a task whose
worker dies runs again on another one. Workers must see the files of a list under the same paths, and have wdaverify installed.
Schedulers on SLURM and other queues come from ``dask_jobqueue``; a pool of MPI processes (``mpi4py.futures``) is an executor as
it is, for use from Python.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wdaverify._errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

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
        yield client.get_executor(pure=False), hands
