"""Many calls on one executor, in ways that do not depend on which of them ends first."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, wait
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from wdaverify._errors import WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future

Key = TypeVar("Key")
T = TypeVar("T")

_SLICE = 0.5
"""Seconds that a wait lasts at most before Python looks for signals."""


def as_finished(
    executor: Executor, calls: Iterable[tuple[Key, Callable[[], T]]], *, hands: int
) -> Iterator[tuple[Key, Future[T]]]:
    """Yield the key of each call with its finished future, as they come.

    A call is taken from `calls` only when one of the `hands` is free for it, so it may depend on the time left. Calls that
    still run when the iteration is given up are cancelled.

    Examples
    --------
    >>> from wdaverify.parallel.executors import InlineExecutor
    >>> with InlineExecutor() as executor:
    ...     [(key, future.result()) for key, future in as_finished(executor, [("a", int), ("b", float)], hands=1)]
    [('a', 0), ('b', 0.0)]
    """
    rest = iter(calls)
    running: dict[Future[T], Key] = {}
    try:
        while True:
            for key, call in islice(rest, hands - len(running)):
                running[executor.submit(call)] = key
            if not running:
                return
            for future in _next_done(running):
                yield running.pop(future), future
    finally:
        _cancel(running)


def first_success(executor: Executor, calls: Iterable[Callable[[], T]], found: Callable[[T], bool]) -> list[Future[T]]:
    """Make calls up to the first, in their order, whose value is what was looked for.

    Every call before that one is awaited; those after it are cancelled. So the answer is that of making one call after
    the other, however many run at a time, and in an executor that runs them in `submit` no more than that happens.

    Parameters
    ----------
    found
        Whether a value ends the search. Asked once for each value at most, in no particular order.

    Returns
    -------
    list
        The finished futures of the calls in their order, the successful one last; all of them if none is. A call that
        raises ends the search like a success, because it would have if calls were made one after the other; a lost one
        (`WorkerLostError`) does not.

    Examples
    --------
    >>> import itertools
    >>> from functools import partial
    >>> from wdaverify.parallel.executors import InlineExecutor
    >>> with InlineExecutor() as executor:
    ...     powers = (partial(pow, 2, k) for k in itertools.count())
    ...     [future.result() for future in first_success(executor, powers, lambda power: power > 3)]
    [1, 2, 4]
    """
    futures: list[Future[T]] = []
    try:
        unknown = _submit(executor, calls, found, futures)
        while unknown:
            for future in _next_done(unknown):
                index = unknown.pop(future)
                if index < len(futures) and _ends(future, found):
                    _cancel(futures[index + 1 :])
                    del futures[index + 1 :]
            # What was cancelled is not waited for: an executor may be unable to stop it.
            unknown = {future: index for future, index in unknown.items() if index < len(futures)}
    finally:
        _cancel(futures)
    return futures


def _submit(
    executor: Executor, calls: Iterable[Callable[[], T]], found: Callable[[T], bool], futures: list[Future[T]]
) -> dict[Future[T], int]:
    """Submit calls until one ends the search at once; the futures whose end is still unknown, with their indices."""
    unknown: dict[Future[T], int] = {}
    for index, call in enumerate(calls):
        futures.append(executor.submit(call))
        if not futures[index].done():
            unknown[futures[index]] = index
        elif _ends(futures[index], found):
            break
    return unknown


def _next_done(futures: dict[Future[T], Any]) -> list[Future[T]]:
    """The futures that are done, in their order, as soon as one is."""
    while True:
        # In slices, because Ctrl-C just before a wait does not cut it short.
        done, _ = wait(futures, timeout=_SLICE, return_when=FIRST_COMPLETED)
        if done:
            return [future for future in futures if future in done]


def _ends(future: Future[T], found: Callable[[T], bool]) -> bool:
    """Whether a finished future ends the search."""
    error = future.exception()
    return found(future.result()) if error is None else not isinstance(error, WorkerLostError)


def _cancel(futures: Iterable[Future[T]]) -> None:
    for future in futures:
        future.cancel()
