r"""Prices on domains with integers, one-hot groups and linear rows: branch and bound over boxes and shells.

The domain is a partition of pieces (`pricing.pieces`), first shells of geometrically growing distance for every rival. For one
multiplier, with ``target = max(cut, best value known) + gap``, the piece of the largest bound is taken until that is at most
the target:

1. Its box is cut with the ball of its shell and shrunk by integers and rows (`pricing.propagation`); an empty piece is done.
2. Backward bounds give ``g_j <= M``. Points that exceed the target have ``lambda c < M - target``, which shrinks the shell, the
   box and M again. What lies outside has no more than the target, so a bound below it counts as the target itself.
3. Branch and bound over activation phases (`search.oracle.maximise`) bounds ``g_j - lambda c``: rows and the parts of the cost
   (`pricing.cost_model`) are rows of its linear programs, integrality is left out.
4. A piece still above the target is split: at the floor of the integer feature whose value in the solver's point is the least
   whole; else, where the cost is not linear, at a distance, with tangents at that point; else its search gets more programs.

Every bound holds whatever is left out, and rests on the proofs of `search.ceiling`. Lower ends come from points that satisfy
everything exactly (`pricing.feasible_points`). Where rows fix a combination of continuous features (an equality), there may be no
float64 point but the sample: the bracket then stays open, and says so.
"""

from __future__ import annotations

import heapq
import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.constraints import Constraints
from wdaverify.domain import Regions
from wdaverify.pricing.cost_model import CostModel
from wdaverify.pricing.feasible_points import FeasiblePoints
from wdaverify.pricing.pieces import Piece
from wdaverify.pricing.propagation import Propagation
from wdaverify.region import Region
from wdaverify.search.inputs import InputSet
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.oracle import maximise
from wdaverify.search.question import Question
from wdaverify.search.result import End, SearchLimits

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion
    from wdaverify.program.backend import Backend

_SHELLS = 8
"""Shells at first, each half as wide as the next."""

_CLIPS = 4
"""Times that a piece is clipped to the points that exceed the target, while that shrinks it."""

_WORTH = 0.9
"""A clipping goes on while it takes the shell to this part."""

_BUDGET = 64
"""Programs of the first search of a piece whose point is whole; each further search has four times as many."""

_FRACTIONAL = 1e-6
"""Farther than this from a whole number an integer feature is worth splitting."""

_LARGEST = 600.0
"""Logarithm of the largest cost that a domain may hold."""

_MOST_TOUCHES = 64
"""Points where tangents of the cost touch, before a piece is split into shells."""

_POWER_TOUCHES = 16
"""The same, where only the power is to be bounded better."""

_CURVATURE = 1e-9
"""Squares that a program's point misses by less, relative to that of the outer end, get no further tangents."""

_SAFE = 2.0**-44
"""Relative error granted to powers and norms."""


class ConstrainedPrices:
    """`pricing.prices.Prices` of one question with constraints (or without).

    Parameters
    ----------
    backend
        Keeps linear programs between solves.

    Attributes
    ----------
    programs
        Linear programs solved so far.

    Raises
    ------
    InputError
        If the sample's region is not bounded, or the sample is not in it.
    """

    def __init__(self, question: PriceQuestion, backend: Backend) -> None:
        box, n = question.domain, question.network.inputs
        if not box.bounded:
            raise InputError("prices under constraints need a bounded domain")
        constraints = question.constraints or Constraints(np.zeros(n, dtype=np.bool_), (), np.zeros((0, n)), np.zeros(0))
        if constraints.broken(question.center) is not None or not box.contains(question.center):
            raise InputError(f"the sample lies outside the domain: {constraints.broken(question.center) or 'its box'}")
        self._question, self._backend, self._constraints = question, backend, constraints
        self._region = Region(box, constraints)
        self.points = FeasiblePoints(question, self._region)
        self._propagation = Propagation(constraints)
        self._model = CostModel(question.network, box, question.center, question.cost)
        self._rows, self._offsets = constraints.inequalities()
        self._pieces = self._first_pieces()
        self.programs = 0

    def upper(self, multiplier: float) -> float:
        """A proved upper bound of ``phi(multiplier)``."""
        return max((piece.upper_bound(multiplier) for piece in self._pieces), default=-math.inf)

    def offer(self, points: Matrix) -> None:
        """Candidates for warm starts: kept as they are or rounded and repaired, if they then belong to the domain."""
        finite = np.atleast_2d(points)[np.isfinite(np.atleast_2d(points)).all(axis=1)]
        for point in self._region.near(finite):
            self.points.add(point)

    def work(self, multiplier: float, *, cut: float, gap: float, deadline: Deadline) -> Matrix:
        """Lower ``upper(multiplier)``, as `Prices.work` says.

        Raises
        ------
        KeyboardInterrupt
            If interrupted; what was proved before is kept.
        """
        if math.isinf(self.upper(multiplier)):
            self._bound_all()
        heap = [(-piece.upper_bound(multiplier), k, piece) for k, piece in enumerate(self._pieces) if not piece.stuck]
        heapq.heapify(heap)
        serial = len(heap)
        while heap and not deadline.passed:
            _, _, piece = heapq.heappop(heap)
            target = max(cut, self.points.best(multiplier)) + gap
            if piece.upper_bound(multiplier) <= target:
                break
            parts = self._treated(piece, multiplier, (target, gap), deadline)
            target = max(cut, self.points.best(multiplier)) + gap
            for part in parts:
                if not part.stuck and part.upper_bound(multiplier) > target:
                    serial += 1
                    heapq.heappush(heap, (-part.upper_bound(multiplier), serial, part))
        values = self.points.values(multiplier)
        order = np.argsort(values, kind="stable")
        return self.points.points[order[values[order] > cut]]

    def _first_pieces(self) -> list[Piece]:
        """The shells of every rival, without any bound."""
        question, box = self._question, self._question.domain
        far = np.maximum(box.upper - question.center, question.center - box.lower)
        farthest = min(float(question.cost.lengths(far)) * (1.0 + _SAFE), question.reach)
        edges = [0.0, *(farthest * 2.0**-k for k in reversed(range(_SHELLS if farthest > 0 else 1)))]
        if not math.isfinite(farthest) or math.log(max(farthest, 1.0)) * question.cost.order > _LARGEST:
            raise InputError(f"the domain is too large for order {question.cost.order:g}: costs exceed the range of float64")
        return [
            Piece(rival, box.lower, box.upper, inner, outer, question.cost.order)
            for inner, outer in pairwise(edges)
            for rival in range(len(question.rivals))
        ]

    def _bound_all(self) -> None:
        """Bound what has no bound yet, without a target."""
        for piece in list(self._pieces):
            if not piece.lines and self._shrink(piece, piece.outer) is not None:
                piece.add(0.0, self._margin(piece, piece.lower, piece.upper)[0])

    def _shrink(self, piece: Piece, outer: float) -> tuple[Vector, Vector] | None:
        """The ends of the piece within a distance; the piece itself is shrunk if that is its own, and dropped if empty."""
        center, scales = self._question.center, self._question.cost.scales
        steps = np.nextafter(np.nextafter(outer / (1.0 if scales is None else scales), np.inf), np.inf)
        lower = np.maximum(piece.lower, np.nextafter(center - steps, -np.inf))
        upper = np.minimum(piece.upper, np.nextafter(center + steps, np.inf))
        ends = None if (lower > upper).any() else self._propagation.shrunk(lower, upper)
        if outer == piece.outer:
            if ends is None:
                piece.add(0.0, -math.inf)
                self._pieces.remove(piece)
            else:
                piece.lower, piece.upper = ends
        return ends

    def _margin(self, piece: Piece, lower: Vector, upper: Vector) -> tuple[float, NeuronBounds, Regions]:
        """A proved bound of the rival's row on a box, and of all neurons there."""
        part = self._model.part(lower, upper, piece.inner, piece.outer, ())
        regions, network = Regions(part.lower[None], part.upper[None]), self._model.network
        layers = crown_bounds(network, regions)
        row = np.append(self._question.rows[piece.rival], 0.0)[None]
        ceiling = float(crown_objectives(network, regions, layers, row)[0, 0])
        return ceiling, NeuronBounds.of(network, regions, layers), regions

    def _treated(self, piece: Piece, multiplier: float, aim: tuple[float, float], deadline: Deadline) -> list[Piece]:
        """Lower the bound of a piece to the target, or split it."""
        target, ends = aim[0], self._shrink(piece, piece.outer)
        if ends is None:
            return []
        margin, neurons, _ = self._margin(piece, *ends)
        piece.add(0.0, margin)
        outer = piece.outer
        for _ in range(_CLIPS):
            if margin - multiplier * piece.least <= target:
                piece.add(multiplier, target)
                return [piece]
            inside = self._within(multiplier, margin - target, outer)
            if inside > _WORTH * outer:
                break
            outer, ends = inside, self._shrink(piece, inside) if inside >= piece.inner else None
            if ends is None:
                piece.add(multiplier, target)
                return [piece]
            margin, neurons, _ = self._margin(piece, *ends)
        return self._searched(piece, multiplier, aim, (*ends, outer, neurons), deadline)

    def _within(self, multiplier: float, room: float, outer: float) -> float:
        """Beyond this distance the price is at least `room`."""
        if multiplier <= 0.0:
            return outer
        length = (max(room, 0.0) / multiplier) ** (1.0 / self._question.cost.order)
        return min(float(length) * (1.0 + _SAFE) + 1e-300, outer)

    def _searched(
        self, piece: Piece, multiplier: float, aim: tuple[float, float],
        clipped: tuple[Vector, Vector, float, NeuronBounds], deadline: Deadline,
    ) -> list[Piece]:  # fmt: skip
        """Search a piece clipped to (lower, upper, outer); split it if its bound stays above the target."""
        (target, gap), (lower, upper, outer, neurons) = aim, clipped
        if not neurons.finite:
            piece.stuck = True
            return [piece]
        part = self._model.part(lower, upper, piece.inner, outer, piece.touches)
        wide = np.zeros((len(self._rows), len(part.lower)))
        wide[:, : len(lower)] = self._rows
        goal = np.append(self._question.rows[piece.rival], -multiplier)[None]
        question = Question(goal, np.zeros(1), np.concatenate([wide, part.rows]), np.concatenate([self._offsets, part.offsets]))
        seen: list[Vector] = []

        def repair(point: Vector) -> Vector:
            x = point[: len(lower)]
            seen.append(point)
            self.points.add(self._region.repaired(self._region.rounded(x)))
            return np.clip(self._model.completed(self._region.repaired(x, lower, upper)), part.lower, part.upper)

        limits = SearchLimits(deadline=deadline, gap=0.25 * gap, nodes=piece.budget, floor=target - 0.5 * gap)
        inputs = InputSet(Regions(part.lower[None], part.upper[None]))
        found = maximise(self._backend, self._model.network, question, inputs, neurons, limits=limits, repair=repair)
        self.programs += found.nodes
        piece.add(multiplier, max(found.upper, target) if outer < piece.outer else found.upper)
        if found.end is End.INTERRUPTED:
            raise KeyboardInterrupt
        if piece.upper_bound(multiplier) <= max(target, self.points.best(multiplier) + gap):
            return [piece]
        return self._split(piece, multiplier, found.end, seen, found.witness)

    def _split(self, piece: Piece, multiplier: float, end: End, seen: list[Vector], witness: Vector | None) -> list[Piece]:
        """Two parts of a piece, or the piece with more programs for its next search."""
        wide = self._constraints.integer & (piece.lower < piece.upper)
        for found in [*seen[:1], *([] if witness is None else [witness]), *seen[:0:-1]]:
            point = found[: len(piece.lower)]
            away = np.where(wide, np.abs(point - np.round(point)), 0.0)
            k = int(np.argmax(away))
            if away[k] > _FRACTIONAL:
                return self._replace(piece, piece.at_floor(k, float(np.floor(point[k]))))
        if end is End.LIMIT:
            piece.budget = max(_BUDGET, 4 * piece.budget)
            return [piece]
        if self._model.curved or self._model.exponent != 1.0:
            return self._refined(piece, multiplier, max(reversed(seen), key=self._model.curvature_missed, default=None))
        if wide.any():  # nothing else is left to decide: the program's point is whole to rounding, or there is none
            k = int(np.argmax(np.where(wide, piece.upper - piece.lower, -1.0)))
            return self._replace(piece, piece.at_floor(k, float(np.floor(0.5 * (piece.lower[k] + piece.upper[k])))))
        piece.stuck = True
        return [piece]

    def _refined(self, piece: Piece, multiplier: float, found: Vector | None) -> list[Piece]:
        """A piece whose cost is modelled better: with tangents at a program's point (x, parts), or as two shells."""
        touch = None if found is None else np.clip(found[: len(piece.lower)], piece.lower, piece.upper)
        if found is not None and touch is not None and len(piece.touches) < _MOST_TOUCHES:
            missed = self._model.curvature_missed(found) > _CURVATURE * piece.outer**2
            by_chord = multiplier > 0.0 and self._model.exponent < 1.0 and len(piece.touches) % 2 == 1  # then shells as well
            if (missed and not by_chord) or (self._model.exponent > 1.0 and len(piece.touches) < _POWER_TOUCHES):
                piece.touches.append(touch)
                return [piece]
        length = None if touch is None else float(self._question.cost.lengths(touch - self._question.center))
        shells = piece.at_distance(length, touch)
        piece.stuck = not shells
        return self._replace(piece, shells) if shells else [piece]

    def _replace(self, piece: Piece, parts: list[Piece]) -> list[Piece]:
        self._pieces.extend(parts)  # first: an interrupt between the two leaves the piece beside its parts
        self._pieces.remove(piece)
        return parts
