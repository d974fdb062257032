"""Adversarial points anywhere in an unbounded domain, by one MILP on the homogenised network.

With ``F(u, t) = t f(u / t)`` (`ir.homogeneous`), a point x with ``f_j >= f_y`` is a ray of ``F_j >= F_y``. On the box
``[-1, 1]^n x [0, 1]`` maximise t: a positive optimum gives the point ``u / t``; an optimum of at most T says that
every such point has ``||x||_inf >= 1 / T``, hence lies at least ``1 / T - ||x_i||_inf`` away in every norm here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import FAR_SLACK
from wdaverify.bounds.crown import crown_bounds
from wdaverify.domain import Box, Regions
from wdaverify.encode.graph import Ranges, encode_graph
from wdaverify.encode.relu import big_m
from wdaverify.encode.target import add_target
from wdaverify.ir.homogeneous import homogenised
from wdaverify.program.backend import SolveOptions
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.program import Sense
from wdaverify.program.result import Status

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import IntArray, Vector
    from wdaverify.encode.nearest import NearestQuestion
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend


def far_point(
    network: Network, question: NearestQuestion, box: Box, *, backend: Backend, deadline: Deadline
) -> tuple[float, Vector | None]:
    """Look for a point with the target anywhere in the domain.

    Returns
    -------
    beyond, point
        A distance below which no such point exists (a solver's word), and a candidate point (n,) or ``None``.
    """
    extended = homogenised(network)
    n = network.inputs
    lower, upper = np.append(np.full(n, -1.0), 0.0), np.ones(n + 1)
    regions = Regions(lower[None], upper[None])
    bounds = crown_bounds(extended, regions)
    ends = {extended.input: (lower, upper), **{k: (bounds.lower[k][0], bounds.upper[k][0]) for k in bounds.lower}}
    builder = ProgramBuilder()
    ranges = Ranges({k: v[0] for k, v in ends.items()}, {k: v[1] for k, v in ends.items()})
    graph = encode_graph(builder, extended, ranges, big_m)
    add_target(builder, graph, label=question.label, target=question.target)
    _add_cone_of_box(builder, graph.inputs, box)
    builder.set_objective(graph.inputs[-1:], np.ones(1))
    result = backend.solve(builder.build(Sense.MAXIMISE), SolveOptions(deadline=deadline))
    if result.status not in (Status.OPTIMAL, Status.LIMIT):
        return 0.0, None
    beyond = 1.0 / (max(result.bound, 0.0) + FAR_SLACK) - float(np.abs(question.center).max())
    point = None
    if result.primal is not None and result.primal[graph.inputs[-1]] > FAR_SLACK:
        point = result.primal[graph.inputs[:-1]] / result.primal[graph.inputs[-1]]
    return max(0.0, beyond), point


def _add_cone_of_box(builder: ProgramBuilder, inputs: IntArray, box: Box) -> None:
    """``lower_k t <= u_k <= upper_k t`` for every finite end of the domain."""
    t = int(inputs[-1])
    for k in np.flatnonzero(np.isfinite(box.lower)):
        builder.add_row([int(inputs[k]), t], [1.0, -box.lower[k]], 0.0, np.inf)
    for k in np.flatnonzero(np.isfinite(box.upper)):
        builder.add_row([int(inputs[k]), t], [1.0, -box.upper[k]], -np.inf, 0.0)
