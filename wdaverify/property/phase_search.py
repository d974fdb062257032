"""The search over activation phases for one disjunct: maximise t with ``t <= g_k`` for every row of the outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import SolverError
from wdaverify.encode.linear_rows import add_rational_row
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.program import Sense
from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.root import encode_root
from wdaverify.search.tree import Verdict, search_depth

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.domain import Regions
    from wdaverify.program.backend import Backend
    from wdaverify.property.case import Case


class PhaseSearch:
    """A search that starts again with more nodes each time; the program is built once.

    Attributes
    ----------
    nodes
        Linear programs solved so far.
    exhausted
        Whether more nodes would not help.
    """

    def __init__(self, case: Case, regions: Regions, bounds: LayerBounds, backend: Backend) -> None:
        self._case, self._regions, self._bounds, self._backend = case, regions, bounds, backend
        self._relaxation: PhaseRelaxation | None = None
        self.nodes = 0
        self.exhausted = False

    def run(self, nodes: int, deadline: Deadline) -> None:
        """Search with up to so many nodes; the case then knows whether it is closed or has a witness."""
        try:
            self._relaxation = self._relaxation or phase_relaxation(self._case, self._regions, self._bounds, self._backend)
        except SolverError:  # bounds beyond float64: nothing can be proved here
            self.exhausted = True
            return
        end = search_depth(self._relaxation, self._case.accept, deadline=deadline, nodes=nodes)
        self.nodes += end.nodes
        self._case.closed = end.verdict is Verdict.CLOSED
        self.exhausted = end.verdict is Verdict.OPEN and end.nodes < nodes and not deadline.passed


def phase_relaxation(case: Case, regions: Regions, bounds: LayerBounds, backend: Backend) -> PhaseRelaxation:
    """The relaxation of one disjunct on its box, under the rows of the inputs.

    Raises
    ------
    SolverError
        If bounds are not finite.
    """
    builder = ProgramBuilder()
    network, disjunct = case.network, case.disjunct
    encoding = encode_root(builder, network, regions, bounds, loosened=case.strict)
    reach = np.maximum(np.abs(regions.lower[0]), np.abs(regions.upper[0]))
    output = network.output
    magnitude = np.maximum(np.abs(bounds.lower[output][0]), np.abs(bounds.upper[output][0]))
    limit = 2.0 * float(np.max(np.abs(case.rows) @ magnitude + np.abs(case.offsets), initial=1.0))
    slack = builder.add_columns(1, -limit, limit)
    for row in (row for row in disjunct.input_rows if row.coefficients):
        k = np.array([k for k, _ in row.coefficients])
        add_rational_row(builder, encoding.inputs[k], [c for _, c in row.coefficients], row.offset, magnitudes=reach[k])
    for row in (row for row in disjunct.output_rows if row.coefficients):
        k = np.array([k for k, _ in row.coefficients])
        add_rational_row(
            builder, encoding.outputs.plus[k], [c for _, c in row.coefficients], row.offset,
            magnitudes=magnitude[k], slack=int(slack[0]),
        )  # fmt: skip
    relaxation = PhaseRelaxation(backend, builder.build(Sense.MAXIMISE), encoding, zero_closes=case.strict)
    relaxation.aim(slack, [1.0])
    return relaxation
