"""The search over activation phases for one disjunct: a point where the least of the output rows is not negative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from wdaverify.property.rows import question_of
from wdaverify.property.work import Outcome
from wdaverify.search.goal import Box, GoalSearch
from wdaverify.search.inputs import InputSet
from wdaverify.search.relaxation import PhaseRelaxation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.property.case import Case
    from wdaverify.property.work import Frame
    from wdaverify.search.neuron_bounds import NeuronBounds


@dataclass(frozen=True, slots=True, eq=False)
class PhaseWork:
    """Some boxes of the search for one case, and about how many linear programs to spend on them.

    Attributes
    ----------
    number
        Of the case.
    failures
        Failed confirmations of every case so far.
    """

    frame: Frame
    number: int
    failures: tuple[int, ...]
    boxes: tuple[Box, ...]
    programs: int


class PhaseRest(NamedTuple):
    """Boxes that stay open, and whether some part of the region stays open for ever."""

    boxes: tuple[Box, ...]
    gave_up: bool


def root_box(case: Case, bounds: NeuronBounds) -> Box:
    """Where the search begins."""
    # a maximum of exactly 0 must follow from cells, not from bounds that end an ulp beyond it
    return Box((), bounds.loosened() if case.strict else bounds, 1.0)


def search_phases(work: PhaseWork) -> Outcome[PhaseRest]:
    """Search on for about so many programs."""
    frame, cases = work.frame, work.frame.fresh(work.failures)
    case = cases[work.number]
    question, inputs = question_of(case.disjunct, frame.network.compiled, frame.neurons), InputSet(frame.regions)

    def build(bounds: NeuronBounds) -> PhaseRelaxation:
        return PhaseRelaxation(frame.backend, frame.network, question, inputs, bounds, zero_closes=case.strict)

    search = GoalSearch(work.boxes, build, None, case.accept)
    search.run(work.programs, frame.deadline)
    return Outcome.of(cases, work.failures, spent=search.programs, rest=PhaseRest(search.rest, search.gave_up))


def deal_nodes(parts: Sequence[tuple[Box, ...]], most: int) -> list[tuple[Box, ...]]:
    """Deal boxes in turn, so that each part gets some of those that were split often and some that were not."""
    boxes = [box for part in parts for box in part]
    count = min(most, len(boxes))
    return [tuple(boxes[start::count]) for start in range(count)]
