"""Close the bracket of one adversarial distance (docs/theory.md, "Zero-one loss").

The upper end is the distance of a verified point, the incumbent. The lower end grows from two sources:

1. *Ladder*: the largest of a grid of radii at which backward linear bounds show ``f_j < f_y`` for every class j. Rigorous.
2. *Engine*: `search_engine` (branch and bound, rigorous) or `milp_engine` (one MILP per class, a solver's word) works
   class by class on the ball of the incumbent, after linear bounds on that ball have eliminated what they can.

Each nearer point that an engine meets is polished and becomes the incumbent, which shrinks the ball. On an unbounded
domain without an incumbent the engines work on balls of growing radius, up to a horizon beyond which nothing is claimed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.bracket import Bracket, Evidence
from wdaverify.domain import Box, Regions
from wdaverify.encode.nearest import NearestQuestion
from wdaverify.feature_domain import box_about
from wdaverify.risk.polish import VerifiedPoint, polish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Norm, Vector
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.feature_domain import Domain
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_LADDER = np.append(np.arange(1, 16) / 16, 1.0 - 2.0 ** -np.array([8, 16, 24, 32]))
"""Parts of the incumbent's distance at which linear bounds are tried; the last close what needs no branching."""

_CLOSED = 1.0 - 2.0**-30
"""A rigorous lower end at this part of the incumbent's distance leaves nothing to search."""

_WORTH_POLISHING = 1.2
"""Attack points up to this factor farther than the nearest are polished: an LP may reverse their order."""

_PARTS = 2.0 ** -np.arange(8, 0, -1)
"""Parts of the way to the farthest point of a bounded domain, searched when the whole of it neither closes nor errs."""

_HORIZONS = 10.0 ** np.arange(-3, 9)
"""Radii, in units of 1 + ||sample||_inf, that are searched on an unbounded domain while no error is known."""


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
        Rigorous lower end: nothing closer exists, by linear bounds or branch and bound.
    proved
        Class to its lower end so far, with its evidence.
    settled
        Classes on which no further work is useful: proved out to the incumbent, or given up.
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

    def prove(self, target: int, bound: float, evidence: Evidence) -> None:
        """Raise the lower end of a class if `bound` is higher."""
        if bound > self.proved.get(target, (0.0, evidence))[0]:
            self.proved[target] = (bound, evidence)

    def bracket(self, targets: list[int], gap: float) -> Bracket:
        """The bracket that follows from everything known; it rests on a solver where rigorous bounds do not reach."""
        bounds = [max(self.safe, self.proved.get(j, (0.0, Evidence.CHECKED))[0]) for j in targets]
        lower = min([*bounds, self.reach])
        by_solver = any(self.safe < lower and self.proved.get(j, (0.0, Evidence.CHECKED))[1] is Evidence.SOLVER for j in targets)
        evidence = Evidence.SOLVER if by_solver else Evidence.CHECKED
        return Bracket(lower=lower, upper=self.reach, evidence=evidence, gap=gap)


class Engine(Protocol):
    """Works on the ball of a radius until its classes are settled, a nearer incumbent is found, or time is up."""

    def __call__(self, closer: Closer, search: SampleSearch, radius: float, deadline: Deadline) -> None:
        """Prove lower ends up to `radius`; settle classes on which no work is left out to the incumbent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Closer:
    """The question that all samples share, and the means to answer it.

    Attributes
    ----------
    backend
        Solves the linear and mixed-integer programs of the engine.
    cell_backend
        Solves the programs of single cells, whose points are checked; for l2 it must take quadratic objectives.
    engine
        How lower ends are raised.
    """

    network: Network
    domain: Box | Domain
    norm: Norm
    backend: Backend
    cell_backend: Backend
    engine: Engine

    def region(self, search: SampleSearch) -> Box:
        """The box that the sample can move in."""
        return box_about(self.domain, search.center)

    def targets(self, label: int) -> list[int]:
        """Every class but the label."""
        return [j for j in range(self.network.outputs) if j != label]

    def finished(self, search: SampleSearch) -> bool:
        """Whether no further work on the sample is useful."""
        return search.settled.issuperset(self.targets(search.label))

    def warm_up(self, search: SampleSearch, deadline: Deadline) -> None:
        """Polish the attack's nearest points into an incumbent, and climb the ladder of linear bounds."""
        nearest = math.inf
        for target, point in search.starts.items():
            distance = float(np.linalg.norm(point - search.center, ord=self.norm.order))
            if distance > _WORTH_POLISHING * nearest or deadline.passed:
                break
            nearest = min(nearest, distance)
            self.improve(search, target, point, deadline)
        if not deadline.passed:
            search.safe = max(search.safe, self._ladder(search))
        if search.safe >= _CLOSED * search.reach:
            search.settled.update(self.targets(search.label))

    def close(self, search: SampleSearch, deadline: Deadline) -> None:
        """Work on every class that is still open, until all are closed or the deadline passes."""
        while not (deadline.passed or self.finished(search)):
            before = search.reach
            for radius in self._radii(search):
                self.engine(self, search, radius, deadline)
                if search.reach < before or math.isinf(search.safe) or self.finished(search) or deadline.passed:
                    break
            if search.reach == before:
                if not deadline.passed:
                    search.settled.update(self.targets(search.label))
                return

    def _radii(self, search: SampleSearch) -> Sequence[float]:
        """The balls to search: that of the incumbent; without one the whole bounded domain, or growing balls."""
        if math.isfinite(search.reach):
            return [search.reach]
        unit = 1.0 + np.abs(search.center).max()
        box = self.region(search)
        if not box.bounded:
            return [float(r) for r in unit * _HORIZONS if r > search.safe]
        farthest = np.maximum(box.upper - search.center, search.center - box.lower)
        return [math.inf, *(float(np.linalg.norm(farthest, ord=self.norm.order)) * _PARTS)]

    def improve(self, search: SampleSearch, target: int, point: Vector, deadline: Deadline) -> bool:
        """Polish a point; make it the incumbent and return true if it is nearer."""
        box, question = self.region(search), self.question(search, target)
        found = polish(self.network, question, box, point, backend=self.cell_backend, deadline=deadline)
        if found is None or found.distance >= search.reach:
            return False
        search.incumbent = found
        return True

    def question(self, search: SampleSearch, target: int) -> NearestQuestion:
        """The nearest-point question of one class."""
        return NearestQuestion(center=search.center, label=search.label, target=target, norm=self.norm)

    def eliminate(self, search: SampleSearch, radius: float) -> tuple[Regions, LayerBounds, list[int]]:
        """Bound the network on the ball of a radius and settle the classes that cannot win there.

        Returns
        -------
        regions, bounds, rest
            The ball as a batch of one, its bounds, and the classes still open, the attack's nearest first.
        """
        if math.isinf(radius):
            regions = Regions.of_box(self.region(search), self.network.inputs)
        else:
            regions = Regions.balls(self.region(search), search.center, radius, self.norm)
        bounds = crown_bounds(self.network, regions)
        rest = [j for j in self.targets(search.label) if j not in search.settled]
        if not rest:
            return regions, bounds, rest
        ceilings = crown_objectives(self.network, regions, bounds, self._objectives(search.label, rest))[0]
        for j, ceiling in zip(rest, ceilings, strict=True):
            if ceiling < 0.0:
                search.prove(j, radius, Evidence.CHECKED)
        losers = {j for j, ceiling in zip(rest, ceilings, strict=True) if ceiling < 0.0}
        promise = {j: k for k, j in enumerate(search.starts)}
        return regions, bounds, sorted((j for j in rest if j not in losers), key=lambda j: promise.get(j, len(promise)))

    def _ladder(self, search: SampleSearch) -> float:
        """The largest grid radius at which linear bounds keep every class below the label."""
        if math.isinf(search.reach):
            return 0.0
        radii = search.reach * _LADDER
        centers = np.broadcast_to(search.center, (len(radii), len(search.center)))
        regions = Regions.balls(self.region(search), centers, radii, self.norm)
        bounds = crown_bounds(self.network, regions)
        objectives = self._objectives(search.label, self.targets(search.label))
        safe = (crown_objectives(self.network, regions, bounds, objectives) < 0.0).all(axis=1)
        return float(radii[safe].max(initial=0.0))

    def _objectives(self, label: int, targets: Sequence[int]) -> Matrix:
        """Rows ``e_j - e_y``, shape (targets, K)."""
        rows = np.zeros((len(targets), self.network.outputs))
        rows[np.arange(len(targets)), list(targets)] = 1.0
        rows[:, label] = -1.0
        return rows
