"""One mixed-integer program: the largest norm of one form's gradient over the activation patterns that are not excluded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify._errors import InputError
from wdaverify._tolerances import MIP_SLACK
from wdaverify._types import Norm
from wdaverify.bounds.adjoint import adjoint_intervals
from wdaverify.bounds.crown import crown_bounds
from wdaverify.domain import Regions
from wdaverify.encode.graph import GraphColumns, Ranges, encode_graph
from wdaverify.encode.jacobian import SMALLEST_END, encode_gradient, ends_in_units, power_of_two
from wdaverify.encode.norm import add_norm
from wdaverify.encode.relu import big_m
from wdaverify.program.backend import SolveOptions
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.program import Sense
from wdaverify.program.result import Status
from wdaverify.search.milp import is_ill_scaled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, Matrix, Vector
    from wdaverify.bounds.adjoint import AdjointIntervals
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.domain import Box
    from wdaverify.gradients.exclusions import Exclusion
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What all programs of a call share.

    Attributes
    ----------
    box
        Bounded, with vector ends (n,).
    counted
        The input coordinates (n,) whose entries of the gradient count.
    forms, intervals
        Linear forms of the logits (F, K), and what their adjoints can be.
    """

    network: Network
    box: Box
    counted: BoolArray
    bounds: LayerBounds
    forms: Matrix
    intervals: AdjointIntervals

    @staticmethod
    def of(network: Network, box: Box, counted: BoolArray, forms: Matrix) -> Problem:
        """Bound the network and the adjoints of all forms on the box."""
        bounds = crown_bounds(network, Regions.of_box(box, network.inputs))
        return Problem(network, box, counted, bounds, forms, adjoint_intervals(network, bounds, forms))

    @property
    def ranges(self) -> Ranges:
        """The bounds of inputs and pre-activations, as encoders take them."""
        lower, upper = {}, {}
        for node in self.bounds.lower:
            lower[node], upper[node] = _kept_from_zero(self.bounds.lower[node][0], self.bounds.upper[node][0])
        return Ranges({**lower, self.network.input: self.box.lower}, {**upper, self.network.input: self.box.upper})

    @property
    def finite(self) -> bool:
        """Whether all bounds are finite, which programs need."""
        ends = [*self.bounds.lower.values(), *self.bounds.upper.values()]
        return all(bool(np.isfinite(end).all()) for end in ends)

    def norm_bound(self, form: int, norm: Norm) -> float:
        """What intervals say of the l1 or linf norm of a form's gradient: proved, rounded up."""
        ends = self.intervals.nodes[self.network.input]
        sizes = np.maximum(-ends.lower[form], ends.upper[form])[self.counted]
        if norm is Norm.LINF or not len(sizes):
            return float(sizes.max(initial=0.0))
        total = math.fsum(sizes)
        return math.nextafter(total, math.inf) if total > 0.0 else 0.0


class Solution(NamedTuple):
    """What a solve says.

    Attributes
    ----------
    upper
        The dual bound less what solvers' tolerances may hide; ``-inf`` if no pattern is left, ``inf`` if it says nothing.
    phases
        The pattern (neurons,) of the solver's point, or ``None``.
    """

    upper: float
    phases: BoolArray | None
    nodes: int
    status: Status


class GradientProgram:
    """The program of one form and one norm (l1 or linf) of its gradient.

    Raises
    ------
    SolverError
        If a pre-activation has no finite bounds.
    """

    def __init__(self, problem: Problem, form: int, norm: Norm) -> None:
        network, intervals = problem.network, problem.intervals.of_form(form)
        self._compiled = network.compiled
        self._builder = ProgramBuilder()
        self._graph = encode_graph(self._builder, network, problem.ranges, big_m, _deciding(network))
        gradient, unit = encode_gradient(self._builder, self._graph, problem.forms[form], intervals, problem.counted)
        self._unit = max(power_of_two(problem.norm_bound(form, norm)), SMALLEST_END * unit)
        lower, upper = (end[problem.counted] for end in ends_in_units(intervals.nodes[network.input], unit))
        add_norm(self._builder, gradient[problem.counted], lower, upper, norm, factor=unit / self._unit)
        self._binaries = per_neuron(self._graph, self._graph.binaries)
        self._excluded = 0

    @property
    def slack(self) -> float:
        """What is given away of every dual bound."""
        return MIP_SLACK * self._unit

    def exclude(self, exclusions: Sequence[Exclusion]) -> None:
        """Cut off the parts of patterns, of a growing list, that are new: some binary must differ from each.

        ::

            sum_{k active} (1 - d_k) + sum_{k inactive} d_k >= 1
        """
        for exclusion in exclusions[self._excluded :]:
            neurons = np.flatnonzero((self._binaries >= 0) & exclusion.decided)
            active = exclusion.phases[neurons]
            self._builder.add_row(
                self._binaries[neurons], np.where(active, -1.0, 1.0), 1.0 - float(np.count_nonzero(active)), np.inf
            )
        self._excluded = len(exclusions)

    def solve(self, backend: Backend, deadline: Deadline) -> Solution:
        """Maximise; only the solver's dual bound says anything about the maximum."""
        try:
            program = self._builder.build(Sense.MAXIMISE)
        except InputError:  # a coefficient is beyond the range of floats: nothing to be solved
            return Solution(math.inf, None, 0, Status.FAILED)
        result = backend.solve(program, SolveOptions(deadline=deadline, absolute_gap=MIP_SLACK))
        phases = None
        if result.primal is not None and result.primal.shape == (program.columns,):
            phases = self._pattern(result.primal)
        believed = result.status in (Status.OPTIMAL, Status.LIMIT, Status.INFEASIBLE) and not math.isnan(result.bound)
        upper = math.inf
        if believed and not is_ill_scaled(program):
            upper = math.nextafter((result.bound + MIP_SLACK) * self._unit, math.inf)
        return Solution(upper, phases, max(1, result.nodes), result.status)

    def _pattern(self, primal: Vector) -> BoolArray:
        """The phases of a point: of its binaries, and where there is none as bounds decide."""
        stable = per_neuron(self._graph, self._graph.nodes) >= 0
        open_ = self._binaries >= 0
        return np.where(open_, primal[self._binaries] > 0.5, stable)


def _kept_from_zero(lower: Vector, upper: Vector) -> tuple[Vector, Vector]:
    """Ends of open phases moved outward where they are so near to 0 that solvers would drop them as coefficients."""
    unit = power_of_two(float(np.maximum(np.abs(lower), np.abs(upper)).max(initial=0.0)))
    is_open, least = (lower < 0) & (upper > 0), SMALLEST_END * unit
    return np.where(is_open, np.minimum(lower, -least), lower), np.where(is_open, np.maximum(upper, least), upper)


def _deciding(network: Network) -> set[str]:
    """The nodes on which phases depend: the logits' values are nobody's business here."""
    found = {network.input, *network.relu_nodes}
    for name in reversed(network.order):
        if name in found:
            found.update(network.sources(name))
    return found


def per_neuron(graph: GraphColumns, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Columns by ReLU node as one vector (neurons,), in the order of the compiled network."""
    compiled = graph.network.compiled
    parts = [columns[compiled.names[step.slot]] for step in compiled.relus]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
