"""The search over activation phases for one disjunct: a point where the least of the output rows is not negative."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.property.rows import float_rows
from wdaverify.search.goal import GoalSearch
from wdaverify.search.inputs import InputSet
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.tree import Verdict

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify.domain import Regions
    from wdaverify.program.backend import Backend
    from wdaverify.property.case import Case
    from wdaverify.search.neuron_bounds import NeuronBounds


class PhaseSearch:
    """A search that can be continued; what it needs is built at first use.

    Parameters
    ----------
    bounds
        Certified on the region; finite, or the search is exhausted from the start.
    """

    def __init__(self, case: Case, regions: Regions, bounds: NeuronBounds, backend: Backend) -> None:
        self._case, self._regions, self._bounds, self._backend = case, regions, bounds, backend
        self._search: GoalSearch | None = None

    @property
    def programs(self) -> int:
        """Linear programs solved so far."""
        return 0 if self._search is None else self._search.programs

    @property
    def exhausted(self) -> bool:
        """Whether more programs would not help."""
        return not self._bounds.finite if self._search is None else self._search.stuck

    def run(self, programs: int, deadline: Deadline) -> None:
        """Solve so many more programs; the case then knows whether it is closed or has a witness."""
        if self.exhausted:
            return
        if self._search is None:
            self._search = _goal_search(self._case, self._regions, self._bounds, self._backend)
        if self._search.run(programs, deadline) is Verdict.CLOSED:
            self._case.closed = True


def _goal_search(case: Case, regions: Regions, bounds: NeuronBounds, backend: Backend) -> GoalSearch:
    """The search on the box of a disjunct, under the rows of its inputs."""
    if case.strict:  # a maximum of exactly 0 must follow from cells, not from bounds that end an ulp beyond it
        bounds = bounds.loosened()
    compiled, magnitudes = case.network.compiled, bounds.charges.magnitudes
    rows = float_rows(case.disjunct.output_rows, magnitudes[compiled.output])
    side = float_rows(case.disjunct.input_rows, magnitudes[compiled.input])
    question, inputs = Question(*rows, *side), InputSet(regions)

    def build(tighter: NeuronBounds) -> PhaseRelaxation:
        return PhaseRelaxation(backend, case.network, question, inputs, tighter, zero_closes=case.strict)

    return GoalSearch(build(bounds), build, None, case.accept)
