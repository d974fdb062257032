"""Close the bracket of one adversarial distance (theory, section 2; the steps of the engine for one sample).

The upper end is the distance of a verified point. For the lower end:

1. *Ladder*: the largest of a grid of radii at which backward linear bounds show ``f_j < f_y`` for every j. Rigorous.
2. *Elimination*: on the ball of the incumbent's radius R, every class j whose bound is negative is out. Rigorous.
3. *MILP*: for each class left, minimise the distance over the big-M program on that ball. Its dual bound, minus the
   accuracy that a solver works with, is a lower end; this is a solver's word and marked so.

Each incumbent that a MILP finds is polished and shrinks the ball for the classes after it. A solver that contradicts
a verified point is not believed.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import INCUMBENT_SLACK, MIP_SLACK
from wdaverify._types import Norm
from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.bracket import Bracket, Evidence
from wdaverify.domain import Box, Regions
from wdaverify.encode.graph import Ranges
from wdaverify.encode.nearest import NearestQuestion, encode_nearest
from wdaverify.program.backend import SolveOptions
from wdaverify.program.result import Status
from wdaverify.risk.far import far_point
from wdaverify.risk.polish import VerifiedPoint, polish

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.program.result import SolveResult

_log = logging.getLogger(__name__)

_LADDER = np.append(np.arange(1, 16) / 16, 1.0 - 2.0 ** -np.array([8, 16, 24, 32]))
"""Parts of the incumbent's distance at which linear bounds are tried; the last close what needs no branching."""

_CLOSED = 1.0 - 2.0**-30
"""A rigorous lower end at this part of the incumbent's distance leaves nothing to search."""

_WORTH_POLISHING = 1.2
"""Attack points up to this factor farther than the nearest are polished: an LP may reverse their order."""

_TANGENT_ROUNDS = 20
"""Rounds of tangents for l2; each adds one per coordinate where the last solution touches."""

_CLOSED_L2 = 1.0 - 1e-7
"""A lower end of l2 at this part of the incumbent's distance ends the rounds."""

_SHRUNK = 0.95
"""When the incumbent falls below this part of the ball's radius, bounds are computed anew on the smaller ball."""


@dataclass(slots=True, kw_only=True, eq=False)
class SampleSearch:
    """What is known about one sample while its bracket closes.

    Attributes
    ----------
    center, label
        The sample (n,) and its label.
    starts
        Class to a point (n,) from which to polish, nearest first.
    incumbent
        The nearest verified point so far.
    safe
        Rigorous lower end: nothing closer exists, by linear bounds.
    proved
        Class to its lower end so far, with its evidence.
    settled
        Classes on which no further work is useful: eliminated, or their MILP ran to its end or failed.
    """

    center: Vector
    label: int
    starts: dict[int, Vector]
    incumbent: VerifiedPoint | None = None
    safe: float = 0.0
    proved: dict[int, tuple[float, Evidence]] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)

    @property
    def reach(self) -> float:
        """Distance of the incumbent, ``inf`` without one."""
        return math.inf if self.incumbent is None else self.incumbent.distance

    def bracket(self, targets: list[int], gap: float) -> Bracket:
        """The bracket that follows from everything known; it rests on a solver where linear bounds do not reach."""
        bounds = [max(self.safe, self.proved.get(j, (0.0, Evidence.CHECKED))[0]) for j in targets]
        lower = min([*bounds, self.reach])
        by_solver = any(self.safe < lower and self.proved.get(j, (0.0, Evidence.CHECKED))[1] is Evidence.SOLVER for j in targets)
        evidence = Evidence.SOLVER if by_solver else Evidence.CHECKED
        return Bracket(lower=lower, upper=self.reach, evidence=evidence, gap=gap)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Closer:
    """The question that all samples share, and the means to answer it.

    Attributes
    ----------
    backend
        Solves the MILPs, whose bounds it vouches for.
    cell_backend
        Solves the programs of single cells, whose points are checked; for l2 it must take quadratic objectives.
    """

    network: Network
    box: Box
    norm: Norm
    backend: Backend
    cell_backend: Backend

    def targets(self, label: int) -> list[int]:
        """Every class but the label."""
        return [j for j in range(self.network.outputs) if j != label]

    def warm_up(self, search: SampleSearch, deadline: Deadline) -> None:
        """Polish the attack's nearest points into an incumbent, and climb the ladder of linear bounds."""
        nearest = math.inf
        for target, point in search.starts.items():
            distance = float(np.linalg.norm(point - search.center, ord=self.norm.order))
            if distance > _WORTH_POLISHING * nearest or (deadline.passed and search.incumbent is not None):
                break
            nearest = min(nearest, distance)
            self._improve(search, target, point, deadline)
        if not deadline.passed:
            search.safe = max(search.safe, self._ladder(search))
        if search.safe >= _CLOSED * search.reach:
            search.settled.update(self.targets(search.label))

    def finished(self, search: SampleSearch) -> bool:
        """Whether no further work on the sample is useful."""
        return search.settled.issuperset(self.targets(search.label))

    def close(self, search: SampleSearch, deadline: Deadline) -> None:
        """Work on every class that is still open, until all are closed or the deadline passes."""
        while not (deadline.passed or self.finished(search)):
            radius = search.reach
            if math.isinf(radius) and not self.box.bounded:
                self._look_far(search, deadline)
            else:
                self._close_ball(search, radius, deadline)
            if search.reach == radius:
                return

    def _close_ball(self, search: SampleSearch, radius: float, deadline: Deadline) -> None:
        """Close the classes on the ball of the incumbent; stop early when a much nearer incumbent makes it too large."""
        open_targets = [j for j in self.targets(search.label) if j not in search.settled]
        if math.isinf(radius):
            regions = Regions.of_box(self.box, self.network.inputs)
        else:
            regions = Regions.balls(self.box, search.center, radius * (1.0 + INCUMBENT_SLACK), self.norm)
        bounds = crown_bounds(self.network, regions)
        ceilings = crown_objectives(self.network, regions, bounds, self._objectives(search.label, open_targets))[0]
        for j, ceiling in zip(open_targets, ceilings, strict=True):
            if ceiling < 0.0:
                search.proved[j] = (radius, Evidence.CHECKED)
                search.settled.add(j)
        by_promise = [j for j in search.starts if j in open_targets] + [j for j in open_targets if j not in search.starts]
        for j in by_promise:
            if deadline.passed or search.reach < _SHRUNK * radius:
                return
            if j in search.settled:
                continue
            self._close_target(search, j, _ranges(self.network, regions, bounds), deadline)

    def _close_target(self, search: SampleSearch, target: int, ranges: Ranges, deadline: Deadline) -> None:
        """Solve the MILP of one class: its dual bound closes the class, its point may become the incumbent."""
        question = self._question(search, target)
        offsets = self._first_offsets(search)
        for _ in range(_TANGENT_ROUNDS if self.norm is Norm.L2 else 1):
            limit = question.cost(search.reach) * (1.0 + 4.0 * INCUMBENT_SLACK)
            unit = question.cost(search.reach) if 0.0 < search.reach < math.inf else 1.0
            program, graph = encode_nearest(self.network, question, ranges, limit=limit, unit=unit, offsets=offsets)
            result = self.backend.solve(program, SolveOptions(deadline=deadline))
            point = None if result.primal is None else result.primal[graph.inputs]
            if point is not None:
                self._improve(search, target, point, deadline)
                offsets = np.vstack([offsets, point - search.center])
            bound = self._believable_bound(result, search, question, unit)
            if bound is not None and bound > search.proved.get(target, (0.0, Evidence.CHECKED))[0]:
                search.proved[target] = (bound, Evidence.SOLVER)
            if bound is None or point is None or bound >= _CLOSED_L2 * search.reach or result.status is Status.LIMIT:
                break
        if result.status is not Status.LIMIT:
            search.settled.add(target)

    def _first_offsets(self, search: SampleSearch) -> Matrix:
        """Where the tangents of l2 touch at first: at the sample, at the incumbent, and on a grid."""
        still = np.zeros((1, self.network.inputs))
        if self.norm is not Norm.L2 or search.incumbent is None:
            return still
        grid = search.reach * np.array([[-0.5], [-0.2], [0.2], [0.5]]) * np.ones_like(still)
        return np.vstack([still, search.incumbent.point - search.center, grid])

    def _question(self, search: SampleSearch, target: int) -> NearestQuestion:
        return NearestQuestion(center=search.center, label=search.label, target=target, norm=self.norm)

    def _believable_bound(
        self, result: SolveResult, search: SampleSearch, question: NearestQuestion, unit: float
    ) -> float | None:
        """The lower end that a solver's answer gives; ``None`` if it gives none or contradicts a verified point."""
        reach = search.reach
        if result.status is Status.INFEASIBLE:
            bound = reach
        elif result.status in (Status.OPTIMAL, Status.LIMIT) and not math.isnan(result.bound):
            bound = question.distance((result.bound - MIP_SLACK * max(1.0, abs(result.bound))) * unit)
        else:
            return None
        known = search.incumbent
        denied = (
            known is not None
            and known.target == question.target
            and (result.status is Status.INFEASIBLE or bound > known.distance * (1.0 + INCUMBENT_SLACK))
        )
        if denied:
            _log.warning("solver %s says %s, bound %.9g, but a verified point is at distance %.9g: not believed",
                         self.backend.name, result.status.value, bound, reach)  # fmt: skip
            return None
        return min(bound, reach)

    def _look_far(self, search: SampleSearch, deadline: Deadline) -> None:
        """On an unbounded domain without an incumbent: find a point anywhere, or how far away all of them are."""
        for target in self.targets(search.label):
            beyond, point = far_point(
                self.network, self._question(search, target), self.box, backend=self.backend, deadline=deadline
            )
            if point is not None:
                self._improve(search, target, point, deadline)
                if search.incumbent is not None:
                    return
            known = search.proved.get(target, (0.0, Evidence.CHECKED))
            search.proved[target] = max(known, (beyond, Evidence.SOLVER), key=lambda bound: bound[0])
        if not deadline.passed:
            search.settled.update(self.targets(search.label))

    def _improve(self, search: SampleSearch, target: int, point: Vector, deadline: Deadline) -> None:
        """Make the polished point the incumbent if it is nearer."""
        found = polish(
            self.network, self._question(search, target), self.box, point, backend=self.cell_backend, deadline=deadline
        )
        if found is not None and found.distance < search.reach:
            search.incumbent = found

    def _ladder(self, search: SampleSearch) -> float:
        """The largest grid radius at which linear bounds keep every class below the label."""
        if math.isinf(search.reach):
            return 0.0
        radii = search.reach * _LADDER
        centers = np.broadcast_to(search.center, (len(radii), len(search.center)))
        regions = Regions.balls(self.box, centers, radii, self.norm)
        bounds = crown_bounds(self.network, regions)
        objectives = self._objectives(search.label, self.targets(search.label))
        safe = (crown_objectives(self.network, regions, bounds, objectives) < 0.0).all(axis=1)
        return float(radii[safe].max(initial=0.0))

    def _objectives(self, label: int, targets: list[int]) -> Matrix:
        """Rows ``e_j - e_y``, shape (targets, K)."""
        rows = np.zeros((len(targets), self.network.outputs))
        rows[np.arange(len(targets)), targets] = 1.0
        rows[:, label] = -1.0
        return rows


def _ranges(network: Network, regions: Regions, bounds: LayerBounds) -> Ranges:
    """Bounds of the first region as the encoder takes them."""
    lower = {network.input: regions.lower[0], **{name: ends[0] for name, ends in bounds.lower.items()}}
    upper = {network.input: regions.upper[0], **{name: ends[0] for name, ends in bounds.upper.items()}}
    return Ranges(lower, upper)
