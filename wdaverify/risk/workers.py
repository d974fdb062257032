"""Share the samples of a distance search over time and over processes.

First every sample gets an incumbent, then every sample is closed. The time left is divided evenly among the samples
that are still open; what one does not use goes to the others, and samples that ran out of their part get another turn
while time remains. Samples do not wait for each other, so without a time limit the number of workers changes nothing.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wdaverify._deadline import Deadline
from wdaverify._errors import WorkerLostError
from wdaverify.parallel.executors import Limited
from wdaverify.parallel.fanout import as_finished
from wdaverify.parallel.hands import open_hands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wdaverify.risk.adversarial import DistanceOptions
    from wdaverify.risk.closing import Closer, SampleSearch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Turn:
    """One turn of one search: when it ends, and whether it is the warm-up."""

    search: SampleSearch
    deadline: Deadline
    warm_up: bool


def close_in_turn(
    closer: Closer, searches: dict[int, SampleSearch], options: DistanceOptions, report: Callable[[int, SampleSearch], None]
) -> None:
    """Close every search as far as the deadline allows; `report` is called as each one ends.

    On Ctrl-C the searches not yet reported are reported as they stand, and the interrupt goes on. So is a search whose
    worker process died or hung, with a warning, while the others go on.
    """
    waiting, final = dict(searches), options.deadline
    try:
        with open_hands(options.workers, options.executor, tasks=len(searches), shared=[closer]) as hands:
            warm_up = True
            while waiting:
                turns = _turns(closer, dict(waiting), final, hands=hands.count, warm_up=warm_up)
                for index, future in as_finished(hands.executor, turns, hands=hands.count):
                    try:
                        waiting[index] = future.result()
                    except WorkerLostError as error:
                        _warn(index, error)
                        report(index, waiting.pop(index))
                        continue
                    if not warm_up and (closer.finished(waiting[index]) or final.passed or final.unlimited):
                        report(index, waiting.pop(index))
                warm_up = False
    except KeyboardInterrupt:
        for index in sorted(waiting):
            report(index, waiting[index])
        raise


def _warn(index: int, error: WorkerLostError) -> None:
    message = f"sample {index} keeps the bracket that it had: {error}"
    warnings.warn(message, RuntimeWarning, stacklevel=3)


def _turns(
    closer: Closer, searches: dict[int, SampleSearch], final: Deadline, *, hands: int, warm_up: bool
) -> Iterator[tuple[int, Callable[[], SampleSearch]]]:
    """One turn for every search; each is made when a hand is free for it, with its share of the time then left."""
    for left, (index, search) in zip(range(len(searches), 0, -1), searches.items(), strict=True):
        share = final.remaining * hands / max(left, hands)
        deadline = Deadline(min(Deadline.after(share).at, final.at))
        turn = _Turn(search=search, deadline=deadline, warm_up=warm_up)
        # Only a search that would delay the end of the command counts as hung, not one that is late in its turn.
        yield index, Limited(partial(_take, closer, turn), final)


def _take(closer: Closer, turn: _Turn) -> SampleSearch:
    """Take a turn; deadlines are points in time, the same for every process of the machine."""
    step = closer.warm_up if turn.warm_up else closer.close
    step(turn.search, turn.deadline)
    return turn.search
