r"""The price of a margin far away: what it gains at most outside a box about the sample, on all of R^n.

For ``x = c + d`` with ``||d||_inf >= B`` and ``F(v, t) = t f(c + v / t)`` the network about c as a homogeneous function
(`ir.homogenise`), divide by the size of d:

.. math:: m(c + d) - \lambda \|d\| \le \mu \iff G(v, t) = M(v, t) - \mu t - \lambda \|v\| \le 0, \quad (v, t) = (d, 1) / s,

M the margin of F, for any ``s > 0``. So the unbounded question is one of sign on bounded caps of the sphere that leave the
origin out (every activation pattern of a homogeneous network holds it), with ``0 <= t <= 1/B``: there branch and bound is as good
as anywhere. G is negative at t = 0 if ``lambda`` exceeds the slope at infinity. A point with ``G >= 0`` and ``t > 0`` is a better
one: ``mu`` rises to its value.

For p > 1, ``||d||^p >= B^(p-1) ||d||`` there: the far part of that price is one of order 1.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._types import Norm
from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.domain import Regions
from wdaverify.ir.homogenise import homogenised
from wdaverify.ir.shifted import shifted
from wdaverify.search.cost import CostTerm
from wdaverify.search.goal import GoalSearch
from wdaverify.search.inputs import InputSet
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.tree import Verdict
from wdaverify.transport import GroundCost, round_down, round_up

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_FARTHEST = 1e12
"""Points beyond are of no use in float64."""

_ROUNDS = 40
"""Most rises of mu in one call."""


class FarPrices:
    """Upper bounds of ``m(x) - lambda ||x - c||`` outside a box.

    Parameters
    ----------
    backend
        Keeps linear programs between solves.
    network, label, center
        Whose margin, about which point (n,).
    norm
        l1 or linf; with one input all norms are the same.
    radius
        B.
    """

    def __init__(self, backend: Backend, network: Network, label: int, center: Vector, norm: Norm, radius: float) -> None:
        self._backend, self._network, self._label, self._center = backend, network, label, center
        self._norm = Norm.LINF if len(center) == 1 else norm
        self._latest = round_up(1 / Fraction(radius))
        self._known: list[tuple[float, float]] = []
        self.points: list[Vector] = []

    @property
    def able(self) -> bool:
        """Whether the norm is one that can be searched."""
        return self._norm is not Norm.L2

    def upper(self, rate: float) -> float:
        """A proved upper bound at ``lambda = rate``."""
        return min((bound for known, bound in self._known if known <= rate), default=math.inf)

    def work(self, rate: float, mu: float, gap: float, deadline: Deadline) -> None:
        """Prove that nothing exceeds mu, or what better points are worth, plus the gap.

        Raises
        ------
        KeyboardInterrupt
            If interrupted.
        """
        for _ in range(_ROUNDS):
            better = self._exceeding(rate, mu, deadline)
            if better is None:
                return
            mu = max(mu, better) + gap

    def _exceeding(self, rate: float, mu: float, deadline: Deadline) -> float | None:
        """The value of a point above mu. ``None`` if there is none, which is remembered, or if it is not known."""
        drop = mu - rate if self._norm is Norm.L1 else mu
        drop = math.nextafter(drop, -math.inf) if self._norm is Norm.L1 else drop  # less is taken off: G only becomes larger
        moves = np.full(self._network.outputs, -drop)
        moves[self._label] = 0.0
        network = homogenised(shifted(self._network, self._center, moves))
        rivals = [j for j in range(network.outputs) if j != self._label]
        closed = True
        for cap, rival in product(self._caps(rate), rivals):
            verdict, value = self._search(network, cap, rival, rate, mu, deadline)
            if verdict is Verdict.FOUND:
                return value
            closed = closed and verdict is Verdict.CLOSED
        if closed:
            self._known.append((rate, mu))
        return None

    def _caps(self, rate: float) -> list[tuple[InputSet, float]]:
        """Parts of the sphere times ``0 <= t <= 1/B`` with their costs, and the constant that these lack."""
        n = len(self._center)
        least = 1.0 if self._norm is Norm.LINF else round_down(Fraction(1, n))
        caps = []
        for k, sign in product(range(n), (1.0, -1.0)):
            lower, upper = np.full(n + 1, -1.0), np.ones(n + 1)
            lower[k], upper[k] = (least, 1.0) if sign > 0 else (-1.0, -least)
            lower[n], upper[n] = 0.0, self._latest
            foot = np.zeros(n + 1)
            foot[k] = sign * least
            # l1: ||v|| = ||(v, t) - foot|| + least - t, and the t is in the logits
            cost = CostTerm(foot, GroundCost(Norm.L1), rate) if self._norm is Norm.L1 else None
            caps.append((InputSet(Regions(lower[None], upper[None]), cost), -rate * least))
        return caps

    def _search(
        self, network: Network, cap: tuple[InputSet, float], rival: int, rate: float, mu: float, deadline: Deadline
    ) -> tuple[Verdict, float]:
        """Whether G of one rival is negative on a cap; the value of a point of R^n where it is not."""
        inputs, constant = cap
        row = np.zeros((1, network.outputs))
        row[0, rival], row[0, self._label] = 1.0, -1.0
        layers = crown_bounds(network, inputs.regions)
        offset = math.nextafter(constant, math.inf)
        if self._norm is Norm.LINF and crown_objectives(network, inputs.regions, layers, row)[0].max() + offset < 0.0:
            return Verdict.CLOSED, -math.inf
        bounds = NeuronBounds.of(network, inputs.regions, layers)
        question, found = Question.of(row, inputs=network.inputs, offsets=np.array([offset])), [-math.inf]

        def accept(point: Vector) -> bool:
            value = self._value(point, rate)
            if not value > mu:
                return False
            found[0] = value
            return True

        def build(tighter: NeuronBounds) -> PhaseRelaxation:
            return PhaseRelaxation(self._backend, network, question, inputs, tighter)

        return GoalSearch(build(bounds), build, 0, accept).run(2**60, deadline), found[0]

    def _value(self, scaled: Vector, rate: float) -> float:
        """``m(x) - lambda ||x - c||`` in float64 at the point that (v, t) stands for, which is remembered; ``-inf`` at t = 0."""
        direction, t = scaled[:-1], float(scaled[-1])
        if not t > 0.0:
            return -math.inf
        with np.errstate(over="ignore"):
            step = direction / t
        if not np.isfinite(step).all() or np.abs(step).max() > _FARTHEST:
            return -math.inf
        point = self._center + step
        logits = self._network.compiled.forward(point[None])[0]
        margin = np.delete(logits, self._label).max() - logits[self._label]
        self.points.append(point)
        return float(margin - rate * np.linalg.norm(step, ord=self._norm.order))


def as_matrix(points: list[Vector], n: int) -> Matrix:
    """Points as rows (P, n)."""
    return np.array(points).reshape(-1, n)
