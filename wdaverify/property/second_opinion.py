"""A second opinion on a disjunct: one mixed-integer program, whose bound is a solver's word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdaverify.property.rows import question_of
from wdaverify.property.work import Outcome
from wdaverify.search.inputs import InputSet
from wdaverify.search.milp import maximise_by_milp
from wdaverify.search.result import SearchLimits

if TYPE_CHECKING:
    from wdaverify.property.work import Frame


@dataclass(frozen=True, slots=True, eq=False)
class MilpWork:
    """The program of one case, by number; `failures` as in `PhaseWork`."""

    frame: Frame
    number: int
    failures: tuple[int, ...]


def solve_case(work: MilpWork) -> Outcome[bool]:
    """Solve the program; the rest is whether the solver denies every point.

    It denies what it calls negative by more than its tolerances, and not what it has shown itself.
    """
    frame, cases = work.frame, work.frame.fresh(work.failures)
    case, network = cases[work.number], frame.network
    if not frame.neurons.finite or frame.deadline.passed:
        return Outcome.of(cases, work.failures, spent=0, rest=False)
    question = question_of(case.disjunct, network.compiled, frame.neurons)
    limits = SearchLimits(deadline=frame.deadline)
    result = maximise_by_milp(frame.backend, network, question, InputSet(frame.regions), frame.neurons, limits=limits)
    if result.witness is not None:
        case.accept(result.witness)
    return Outcome.of(cases, work.failures, spent=result.nodes, rest=result.upper < 0.0)
