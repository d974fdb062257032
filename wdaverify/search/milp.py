"""The second opinion: the same maximum as one mixed-integer program, whose bound is a solver's word.

Every unstable ReLU has a binary (`encode.relu.big_m`), on the graph as it stands and with the same bounds; nothing of the
search is shared but the question. The upper end is the solver's dual bound, less believable by its tolerances, so that
the evidence is *solver*; the lower end is the exact value of the solver's point, as everywhere.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import SolverError
from wdaverify._tolerances import MIP_SLACK, SOLVER_FEASIBILITY, UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.bracket import Evidence
from wdaverify.encode.graph import GraphColumns, Ranges, encode_graph
from wdaverify.encode.ground_cost import add_l1_cost, add_linf_cost
from wdaverify.encode.relu import big_m
from wdaverify.program.backend import SolveOptions
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.program import Sense
from wdaverify.program.result import Status
from wdaverify.search.oracle import exact_value, repaired
from wdaverify.search.result import End, SearchLimits, SearchResult

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.program.program import Program
    from wdaverify.search.inputs import InputSet
    from wdaverify.search.neuron_bounds import NeuronBounds
    from wdaverify.search.question import Question


def maximise_by_milp(
    backend: Backend,
    network: Network,
    question: Question,
    inputs: InputSet,
    bounds: NeuronBounds,
    *,
    limits: SearchLimits,
    start: Vector | None = None,
) -> SearchResult:
    """Bracket ``max min_r g_r(x) - cost(x)`` over a region, as `search.oracle.maximise` does.

    Raises
    ------
    SolverError
        If the region or what its points cost is curved, and so no polyhedron; or the cost knows scales or a shell.
    """
    if inputs.curved:
        raise SolverError(
            "the mixed-integer engine takes boxes, l1 balls and order 1: use --engine search for l2 and other orders"
        )
    if inputs.cost is not None and (inputs.cost.ground.scales is not None or inputs.cost.outer < math.inf):
        raise SolverError("the mixed-integer engine knows no weighted features and no shells: use --engine search")
    builder = ProgramBuilder()
    graph = encode_graph(builder, network, _ranges(network, inputs, bounds), big_m)
    _add_question(builder, graph, question, inputs)
    scale, program = _scale(network, question, bounds), builder.build(Sense.MAXIMISE)
    options = SolveOptions(deadline=limits.deadline, absolute_gap=min(limits.gap, MIP_SLACK * scale))
    result = backend.solve(program, options)
    value = exact_value(network, question, inputs)
    lower, witness = -math.inf, None
    for point in (start, None if result.primal is None else result.primal[graph.inputs]):
        if point is not None and np.isfinite(point).all():
            inside = repaired(question, inputs, point)
            known = value(inside)
            if known is not None and known > lower:
                lower, witness = known, inside
    believed = result.status in (Status.OPTIMAL, Status.LIMIT, Status.INFEASIBLE) and not math.isnan(result.bound)
    believed = believed and not is_ill_scaled(program)
    upper = result.bound + MIP_SLACK * max(1.0, scale) if believed else math.inf
    if upper < lower:  # the solver denies a point that was checked: nothing it says counts
        upper = math.inf
    end = End.CLOSED if upper - lower <= max(limits.gap, 4.0 * MIP_SLACK * max(1.0, scale)) else End.NUMERICAL
    if result.status is Status.LIMIT:
        end = End.LIMIT
    return SearchResult(
        lower=lower, upper=upper, witness=witness, end=end, evidence=Evidence.SOLVER, nodes=max(1, result.nodes)
    )  # fmt: skip


def is_ill_scaled(program: Program) -> bool:
    """Whether rounding alone can move a row by more than the solver's tolerance: its "infeasible" then means nothing."""
    largest = np.maximum(np.abs(program.lower), np.abs(program.upper))
    activity = abs(program.matrix) @ np.where(np.isfinite(largest), largest, 0.0)
    return bool(np.max(activity, initial=0.0) * UNIT_ROUNDOFF > SOLVER_FEASIBILITY)


def _add_question(builder: ProgramBuilder, graph: GraphColumns, question: Question, inputs: InputSet) -> None:
    """The least row as a column to be maximised, the facts about inputs, the ball and the cost."""
    least = builder.add_columns(1, -np.inf, np.inf, objective=1.0)
    used = graph.outputs
    builder.add_rows([(used, question.rows), (least, -np.ones((len(question.rows), 1)))], -question.offsets, np.inf)
    if len(question.side_rows):
        builder.add_rows([(graph.inputs, question.side_rows)], -question.side_offsets, np.inf)
    regions, cost = inputs.regions, inputs.cost
    if regions.norm is Norm.L1 and regions.center is not None and regions.radius is not None:
        add_l1_cost(builder, graph.inputs, regions.center[0], float(regions.radius[0]))
    if cost is not None:
        reach = np.maximum(inputs.upper - cost.center, cost.center - inputs.lower)
        add, farthest = (add_l1_cost, reach.sum()) if cost.ground.norm is Norm.L1 else (add_linf_cost, reach.max(initial=0.0))
        paid = add(builder, graph.inputs, cost.center, float(farthest))
        builder.set_objective([paid], [-cost.weight])


def _ranges(network: Network, inputs: InputSet, bounds: NeuronBounds) -> Ranges:
    """The bounds of inputs and pre-activations by node."""
    compiled = network.compiled
    lower, upper = {network.input: inputs.lower}, {network.input: inputs.upper}
    for step in compiled.relus:
        name = compiled.names[step.source]
        if name != network.input:
            lower[name], upper[name] = bounds.lower[step.neurons], bounds.upper[step.neurons]
    return Ranges(lower, upper)


def _scale(network: Network, question: Question, bounds: NeuronBounds) -> float:
    """A bound of the absolute values of the rows."""
    magnitude = bounds.charges.magnitudes[network.compiled.output]
    return float(np.max(np.abs(question.rows) @ magnitude + np.abs(question.offsets), initial=0.0))
