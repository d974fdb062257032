"""Close a sample by branch and bound: show that no class is reachable inside the ball of the incumbent.

On the ball of radius ``R = (1 - gap) * incumbent`` every class that linear bounds leave is searched depth first, all of
them on one linear program whose objective ``f_j - f_y`` changes. A class is closed by rigorous ceilings only, so every
lower end proved here is checked. Node budgets go round robin, so that a nearer point in any class is met before much is
spent on closing another; a nearer point becomes the incumbent and the caller starts again on its ball.

When the ball of the incumbent does not close within its budget, smaller balls come first: they are cheaper and give the
lower end of a search that is stopped. When it cannot be closed for lack of accuracy, slightly smaller ones follow.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from wdaverify._errors import SolverError
from wdaverify._tolerances import SEARCH_GAP
from wdaverify._types import Norm
from wdaverify.bracket import Evidence
from wdaverify.encode.ground_cost import add_l1_cost
from wdaverify.ir.evaluate import forward
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.program import Sense
from wdaverify.risk.milp_engine import close_by_milp
from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.root import encode_root
from wdaverify.search.tree import Verdict, search_depth

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.domain import Regions
    from wdaverify.risk.closing import Closer, SampleSearch

_log = logging.getLogger(__name__)

_FULL = 1.0 - SEARCH_GAP

_RUNGS = (
    (_FULL, 1024),
    (0.8, 2**60),
    (0.95, 2**60),
    (_FULL, 2**60),
    (1.0 - 10 * SEARCH_GAP, 2**60),
    (1.0 - 100 * SEARCH_GAP, 2**60),
)
"""Parts of the incumbent's distance, each with the nodes that a class may cost."""

_FIRST_BUDGET = 64
"""Nodes of a class in the first round; each round has four times as many."""


def close_by_search(closer: Closer, search: SampleSearch, radius: float, deadline: Deadline) -> None:
    """Raise the lower end of a sample towards `radius`, until that ball is closed or a nearer error is found.

    The l2 ball is no polyhedron, and its samples go to the MILP engine.
    """
    if closer.norm is Norm.L2:
        close_by_milp(closer, search, radius, deadline)
        return
    for part, budget in _RUNGS if radius == search.reach < math.inf else ((1.0, 2**60),):
        if deadline.passed:
            return
        if part * radius > search.safe:
            verdict = _search_ball(closer, search, part * radius, budget, deadline)
            if verdict is Verdict.FOUND:
                return
            if verdict is Verdict.CLOSED:
                search.safe = part * radius
        if search.safe >= _FULL * radius:
            return


def _search_ball(closer: Closer, search: SampleSearch, radius: float, budget: int, deadline: Deadline) -> Verdict:
    """Search all classes on one ball."""
    regions, bounds, rest = closer.eliminate(search, radius)
    open_targets = [j for j in rest if search.proved.get(j, (0.0, Evidence.CHECKED))[0] < radius]
    if not open_targets:
        return _verdict(closer, search, radius)
    try:
        relaxation = _relaxation(closer, search, regions, bounds, radius)
    except SolverError as error:  # bounds beyond float64 on a huge ball: this radius stays open, smaller ones may close
        _log.info("radius %g: %s", radius, error)
        return Verdict.OPEN
    nodes = min(_FIRST_BUDGET, budget)
    while open_targets:
        for target in list(open_targets):
            relaxation.aim(relaxation.outputs[[target, search.label]], [1.0, -1.0])

            def accept(point: Vector, target: int = target) -> bool:
                logits = forward(closer.network, closer.box.clip(point)[None])[0]
                return bool(logits[target] >= logits[search.label]) and closer.improve(search, target, point, deadline)

            end = search_depth(relaxation, accept, deadline=deadline, nodes=nodes)
            if end.verdict is Verdict.FOUND:
                return Verdict.FOUND
            if end.verdict is Verdict.CLOSED:
                search.prove(target, radius, Evidence.CHECKED)
            elif end.nodes >= nodes:
                continue  # its turn comes again with a larger budget; one that ended below its budget is stuck
            open_targets.remove(target)
        if nodes >= budget or deadline.passed:
            break
        nodes = min(4 * nodes, budget)
    return _verdict(closer, search, radius)


def _verdict(closer: Closer, search: SampleSearch, radius: float) -> Verdict:
    """Closed only if every class, without exception, is proved out to the radius by rigorous bounds."""
    proofs = (search.proved.get(j, (0.0, Evidence.SOLVER)) for j in closer.targets(search.label))
    closed = all(bound >= radius and evidence is Evidence.CHECKED for bound, evidence in proofs)
    return Verdict.CLOSED if closed else Verdict.OPEN


def _relaxation(closer: Closer, search: SampleSearch, regions: Regions, bounds: LayerBounds, radius: float) -> PhaseRelaxation:
    """The linear program of the ball: split triangles of the network, and for l1 the rows of the ball."""
    builder = ProgramBuilder()
    encoding = encode_root(builder, closer.network, regions, bounds)
    if closer.norm is Norm.L1 and math.isfinite(radius):
        add_l1_cost(builder, encoding.inputs, search.center, radius)
    return PhaseRelaxation(closer.backend, builder.build(Sense.MAXIMISE), encoding)
