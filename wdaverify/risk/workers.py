"""Share the samples of a distance search over time and over processes.

First every sample gets an incumbent, then every sample is closed. The time left is divided evenly among the samples
that are still open; what one does not use goes to the others, and samples that ran out of their part get another turn
while time remains. With one worker everything runs in this process; with more, in spawned ones (forking after torch or
HiGHS were used deadlocks).
"""

from __future__ import annotations

import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING

from wdaverify._deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wdaverify.risk.adversarial import DistanceOptions
    from wdaverify.risk.closing import Closer, SampleSearch


def close_in_turn(
    closer: Closer, searches: dict[int, SampleSearch], options: DistanceOptions, report: Callable[[int, SampleSearch], None]
) -> None:
    """Close every search as far as the deadline allows; `report` is called as each one ends.

    On Ctrl-C the searches not yet reported are reported as they stand, and the interrupt goes on.
    """
    waiting = dict(searches)
    try:
        waiting.update(_turn(closer, waiting, options, warm_up=True))
        while waiting:
            for index, search in _turn(closer, waiting, options, warm_up=False):
                waiting[index] = search
                if closer.finished(search) or options.deadline.passed or options.deadline.unlimited:
                    report(index, waiting.pop(index))
    except KeyboardInterrupt:
        for index in sorted(waiting):
            report(index, waiting[index])
        raise


def _turn(
    closer: Closer, searches: dict[int, SampleSearch], options: DistanceOptions, *, warm_up: bool
) -> Iterator[tuple[int, SampleSearch]]:
    """Give each search its share of the time, yielding each as it ends."""
    todo = dict(searches)
    if options.workers == 1:
        for left, (index, search) in zip(range(len(todo), 0, -1), todo.items(), strict=True):
            yield index, _work(closer, search, options.deadline.remaining / left, options.deadline, warm_up)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(options.workers, len(todo)), mp_context=context, initializer=_ignore_interrupts) as pool:
        share = options.deadline.remaining * options.workers / max(len(todo), options.workers)
        tasks = {pool.submit(_work, closer, s, share, options.deadline, warm_up): i for i, s in todo.items()}
        try:
            for task in as_completed(tasks):
                yield tasks[task], task.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _work(closer: Closer, search: SampleSearch, seconds: float, final: Deadline, warm_up: bool) -> SampleSearch:
    """One turn of one search; deadlines are points in time, the same for every process of the machine."""
    deadline = Deadline(min(Deadline.after(seconds).at, final.at))
    step = closer.warm_up if warm_up else closer.close
    step(search, deadline)
    return search


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent, which ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
