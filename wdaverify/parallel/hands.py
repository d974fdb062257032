"""Who works: this process, processes beside it, or workers on other machines."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdaverify.parallel.executors import InlineExecutor, open_executor
from wdaverify.parallel.remote import remote_executor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor


@dataclass(frozen=True, slots=True, eq=False)
class Hands:
    """An executor, and how many tasks it takes at a time."""

    executor: Executor
    count: int


HERE = Hands(InlineExecutor(), 1)
"""This process alone."""


@contextmanager
def open_hands(workers: int, address: str | None, *, tasks: int, shared: Sequence[object] = ()) -> Iterator[Hands]:
    """Hands for a number of tasks; left, their processes are gone.

    Parameters
    ----------
    workers
        Processes of this machine, unless there is an address.
    address
        Of an executor on other machines, as for `remote_executor`.
    shared
        As for `open_executor`.
    """
    if address is not None:
        with remote_executor(address) as (executor, count):
            yield Hands(executor, max(1, min(count, tasks)))
        return
    count = max(1, min(workers, tasks))
    with open_executor(count, shared=shared) as executor:
        yield Hands(executor, count)
