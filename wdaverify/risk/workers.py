"""Share the samples of a distance search over time and over processes.

First every sample gets an incumbent, then every sample is closed. The time left is divided evenly among the samples
that are still open; what one does not use goes to the others, and samples that ran out of their part get another turn
while time remains. With one worker everything runs in this process; with more, in spawned ones (forking after torch or
HiGHS were used deadlocks).
"""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdaverify._deadline import Deadline
from wdaverify.risk.processes import Crew

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wdaverify.risk.adversarial import DistanceOptions
    from wdaverify.risk.closing import Closer, SampleSearch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    """A search, when its turn ends, and whether it is the warm-up."""

    search: SampleSearch
    deadline: Deadline
    warm_up: bool


def close_in_turn(
    closer: Closer, searches: dict[int, SampleSearch], options: DistanceOptions, report: Callable[[int, SampleSearch], None]
) -> None:
    """Close every search as far as the deadline allows; `report` is called as each one ends.

    On Ctrl-C the searches not yet reported are reported as they stand, and the interrupt goes on. So is a search whose
    worker process died, with a warning, while the others go on.
    """
    waiting, final = dict(searches), options.deadline
    try:
        with _team(closer, min(options.workers, len(searches))) as team:
            for index, search in team.turn(dict(waiting), final, warm_up=True):
                if search is None:
                    _lost(index, waiting, report)
                else:
                    waiting[index] = search
            while waiting:
                for index, search in team.turn(dict(waiting), final, warm_up=False):
                    if search is None:
                        _lost(index, waiting, report)
                        continue
                    waiting[index] = search
                    if closer.finished(search) or final.passed or final.unlimited:
                        report(index, waiting.pop(index))
    except KeyboardInterrupt:
        for index in sorted(waiting):
            report(index, waiting[index])
        raise


def _lost(index: int, waiting: dict[int, SampleSearch], report: Callable[[int, SampleSearch], None]) -> None:
    """Report a search whose process died, as it was before."""
    message = f"the worker process of sample {index} died (out of memory?); its bracket stays as it was before"
    warnings.warn(message, RuntimeWarning, stacklevel=2)
    report(index, waiting.pop(index))


@contextlib.contextmanager
def _team(closer: Closer, workers: int) -> Iterator[_Team]:
    """The process alone, or worker processes that end with the block, whatever ends it."""
    if workers <= 1:
        yield _Team(closer, None)
        return
    with Crew(_work, closer, workers) as crew:
        yield _Team(closer, crew)


class _Team:
    """Works on searches, here or in a crew."""

    def __init__(self, closer: Closer, crew: Crew[Closer, _Task, SampleSearch] | None) -> None:
        self._closer, self._crew = closer, crew

    def turn(
        self, searches: dict[int, SampleSearch], final: Deadline, *, warm_up: bool
    ) -> Iterator[tuple[int, SampleSearch | None]]:
        """Give each search its share of the time, yielding each as it ends; ``None`` for one that was lost."""
        hands = 1 if self._crew is None else self._crew.size
        tasks = _tasks(searches, final, hands, warm_up=warm_up)
        if self._crew is not None:
            yield from self._crew.work(tasks)
            return
        for index, task in tasks:
            yield index, _work(self._closer, task)


def _tasks(searches: dict[int, SampleSearch], final: Deadline, hands: int, *, warm_up: bool) -> Iterator[tuple[int, _Task]]:
    """The tasks of a turn; each is made when somebody is free to take it, with its share of the time then left."""
    for left, (index, search) in zip(range(len(searches), 0, -1), searches.items(), strict=True):
        share = final.remaining * hands / max(left, hands)
        deadline = Deadline(min(Deadline.after(share).at, final.at))
        yield index, _Task(search=search, deadline=deadline, warm_up=warm_up)


def _work(closer: Closer, task: _Task) -> SampleSearch:
    """One turn of one search; deadlines are points in time, the same for every process of the machine."""
    step = closer.warm_up if task.warm_up else closer.close
    step(task.search, task.deadline)
    return task.search
