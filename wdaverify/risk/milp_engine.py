"""Close a sample with one MILP per class: the second opinion.

Minimise the distance over the big-M program of a class on the ball of the incumbent. The dual bound, minus the accuracy
that a solver works with, is a lower end; it is a solver's word and marked so. For l2 the cost has tangents of the
square, refined where solutions touch. A solver that contradicts a verified point is not believed, and neither is one
whose program is so badly scaled that rounding alone exceeds its tolerance.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import INCUMBENT_SLACK, MIP_SLACK
from wdaverify._types import Norm
from wdaverify.bracket import Evidence
from wdaverify.encode.graph import Ranges
from wdaverify.encode.nearest import NearestQuestion, encode_nearest
from wdaverify.program.backend import SolveOptions
from wdaverify.program.result import SolveResult, Status
from wdaverify.search.milp import is_ill_scaled

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix
    from wdaverify.program.program import Program
    from wdaverify.risk.closing import Closer, SampleSearch

_log = logging.getLogger(__name__)

_TANGENT_ROUNDS = 20
"""Rounds of tangents for l2; each adds one per coordinate where the last solution touches."""

_CLOSED = 1.0 - 1e-7
"""A lower end of l2 at this part of the incumbent's distance ends the rounds."""

_SMALLEST_UNIT = 1e-200
"""Costs below this are not used as unit: their reciprocal would overflow."""

_SHRUNK = 0.95
"""When the incumbent falls below this part of the ball's radius, bounds are computed anew on the smaller ball."""


def close_by_milp(closer: Closer, search: SampleSearch, radius: float, deadline: Deadline) -> None:
    """Bound every open class on a ball by linear bounds or a MILP, unless a much nearer incumbent makes it too large."""
    regions, bounds, rest = closer.eliminate(search, radius * (1.0 + INCUMBENT_SLACK))
    if radius >= search.reach:
        search.settled.update(j for j in closer.targets(search.label) if j not in rest)
    ranges = Ranges(
        {closer.network.input: regions.lower[0], **{name: ends[0] for name, ends in bounds.lower.items()}},
        {closer.network.input: regions.upper[0], **{name: ends[0] for name, ends in bounds.upper.items()}},
    )
    for target in rest:
        if deadline.passed or search.reach < _SHRUNK * radius:
            return
        settled = _close_target(closer, search, target, (ranges, min(radius, search.reach)), deadline)
        if settled and radius >= search.reach:
            search.settled.add(target)


def _close_target(closer: Closer, search: SampleSearch, target: int, ball: tuple[Ranges, float], deadline: Deadline) -> bool:
    """Solve the MILP of one class: its dual bound raises the class, its point may become the incumbent.

    Returns whether the MILP ran to its end.
    """
    question, (ranges, radius) = closer.question(search, target), ball
    offsets = _first_offsets(closer, search)
    for _ in range(_TANGENT_ROUNDS if closer.norm is Norm.L2 else 1):
        radius = min(radius, search.reach)
        limit, unit = question.cost(radius) * (1.0 + 4.0 * INCUMBENT_SLACK), question.cost(radius)
        unit = unit if _SMALLEST_UNIT < unit < math.inf else 1.0
        program, graph = encode_nearest(closer.network, question, ranges, limit=limit, unit=unit, offsets=offsets)
        result = closer.backend.solve(program, SolveOptions(deadline=deadline))
        point = None if result.primal is None else result.primal[graph.inputs]
        if point is not None:
            closer.improve(search, target, point, deadline)
            offsets = np.vstack([offsets, point - search.center])
        bound = _believable_bound(program, result, search, question, (radius, unit))
        if bound is None:
            _log.warning("solver %s says %s for class %d, but a verified point is at distance %.9g: not believed",
                         closer.backend.name, result.status.value, target, search.reach)  # fmt: skip
            break
        search.prove(target, bound, Evidence.SOLVER)
        if point is None or bound >= _CLOSED * search.reach or result.status is Status.LIMIT:
            break
    return result.status is not Status.LIMIT


def _first_offsets(closer: Closer, search: SampleSearch) -> Matrix:
    """Where the tangents of l2 touch at first: at the sample, at the incumbent, and on a grid."""
    still = np.zeros((1, closer.network.inputs))
    if closer.norm is not Norm.L2 or search.incumbent is None:
        return still
    grid = search.reach * np.array([[-0.5], [-0.2], [0.2], [0.5]]) * np.ones_like(still)
    return np.vstack([still, search.incumbent.point - search.center, grid])


def _believable_bound(
    program: Program, result: SolveResult, search: SampleSearch, question: NearestQuestion, ball: tuple[float, float]
) -> float | None:
    """The lower end that a solver's answer gives, 0 if it gives none; ``None`` if it contradicts a verified point."""
    known, (radius, unit) = search.incumbent, ball
    if is_ill_scaled(program):
        return 0.0
    if result.status is Status.INFEASIBLE:
        bound = radius
    elif result.status in (Status.OPTIMAL, Status.LIMIT) and not math.isnan(result.bound):
        bound = question.distance((result.bound - MIP_SLACK * max(1.0, abs(result.bound))) * unit)
    else:
        return 0.0
    too_high = result.status is Status.INFEASIBLE or bound > search.reach * (1.0 + INCUMBENT_SLACK)
    if too_high and known is not None and known.target == question.target and known.distance <= radius:
        return None
    return min(bound, radius)
