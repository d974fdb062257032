"""The nearest point with a given target, as one program: minimise the ground cost over the graph of the network.

::

    minimise c / unit   subject to   (x, f) in graph(network | ReLU encoding),  f_j - f_y >= 0,  cost(x - x_i) <= c <= limit

The cost is ``||x - x_i||`` for l1 and linf and its square for l2. With big-M ReLUs it is a MILP whose dual bound is a
lower bound of the cost of reaching class j (docs/theory.md, "Zero-one loss"; for l2 with tangents of the square). With the
phases of one activation cell it is an LP, or a convex QP for l2, whose optimum is the nearest such point of the cell.
Dividing by a `unit` of the size of the expected cost makes solver tolerances relative to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import eye_array

from wdaverify._types import Norm
from wdaverify.encode.graph import GraphColumns, Ranges, encode_graph
from wdaverify.encode.ground_cost import add_l1_cost, add_linf_cost, add_squared_l2_cost
from wdaverify.encode.relu import big_m, fixed_phase
from wdaverify.encode.target import add_target
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.program import Program, Sense

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.ir.network import Network
    from wdaverify.ir.pattern import ActivationPattern


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NearestQuestion:
    """Which nearest point is asked for.

    Attributes
    ----------
    center, label, target
        The sample (n,), its label, and the class that must score at least as high.
    norm
        The norm of the distance.
    """

    center: Vector
    label: int
    target: int
    norm: Norm

    def cost(self, distance: float) -> float:
        """The ground cost of a distance in the programs of this module: its square for l2."""
        return distance * distance if self.norm is Norm.L2 else distance

    def distance(self, cost: float) -> float:
        """The distance that costs `cost`."""
        return float(np.sqrt(max(cost, 0.0))) if self.norm is Norm.L2 else cost


def encode_nearest(
    network: Network,
    question: NearestQuestion,
    ranges: Ranges,
    *,
    limit: float = np.inf,
    unit: float = 1.0,
    offsets: Matrix | None = None,
) -> tuple[Program, GraphColumns]:
    """Build the MILP of the nearest point and say where the network's values stand in it.

    Parameters
    ----------
    ranges
        Bounds of the inputs and of every pre-activation, valid for all points of cost at most `limit`.
    limit, unit
        Largest cost of interest, and the unit of the objective.
    offsets
        For l2, where its tangents touch (T, n); see `encode.ground_cost`.
    """
    builder = ProgramBuilder()
    graph = encode_graph(builder, network, ranges, big_m)
    match question.norm:
        case Norm.LINF:
            cost = add_linf_cost(builder, graph.inputs, question.center, limit)
        case Norm.L1:
            cost = add_l1_cost(builder, graph.inputs, question.center, limit)
        case Norm.L2:
            touching = np.zeros((1, network.inputs)) if offsets is None else offsets
            cost = add_squared_l2_cost(builder, graph.inputs, question.center, limit, touching)
    add_target(builder, graph, label=question.label, target=question.target)
    builder.set_objective([cost], [1.0 / unit])
    return builder.build(Sense.MINIMISE), graph


def encode_nearest_in_cell(
    network: Network, question: NearestQuestion, ranges: Ranges, pattern: ActivationPattern
) -> tuple[Program, GraphColumns]:
    """Build the LP (l2: convex QP) of the nearest point of one activation cell; `ranges` need to bound the input only."""
    builder = ProgramBuilder()
    graph = encode_graph(builder, network, ranges, fixed_phase(pattern))
    add_target(builder, graph, label=question.label, target=question.target)
    match question.norm:
        case Norm.LINF:
            builder.set_objective([add_linf_cost(builder, graph.inputs, question.center, np.inf)], [1.0])
        case Norm.L1:
            builder.set_objective([add_l1_cost(builder, graph.inputs, question.center, np.inf)], [1.0])
        case Norm.L2:
            one = eye_array(network.inputs).tocsr()
            step = builder.add_columns(network.inputs, -np.inf, np.inf)
            builder.add_rows([(graph.inputs, one), (step, -one)], question.center, question.center)
            program = builder.build(Sense.MINIMISE)
            squares = np.zeros(program.columns)
            squares[step] = 1.0
            return replace(program, quadratic=squares), graph
    return builder.build(Sense.MINIMISE), graph
