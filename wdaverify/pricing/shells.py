"""Radius shells about a sample: on each, a linear upper form of every rival's gain, computed once for all multipliers.

With radii ``0 = t_0 < t_1 < ... < t_m`` that grow geometrically, every point of the domain lies in a shell
``t_(k-1) <= ||S (x - x_0)|| <= t_k``. Its gain is bounded by what backward bounds say on the ball t_k, its cost lies between
``t_(k-1)^p`` and ``t_k^p``. The finer the shells, the less is lost between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._types import Norm
from wdaverify.pricing.ball_bounds import BallBounds, balls_about, logit_forms
from wdaverify.pricing.growth import Ground
from wdaverify.pricing.line_store import LineStore

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion

_RATIO = 1.2
"""Of consecutive radii."""

_COUNTS = {Norm.LINF: 40, Norm.L1: 60, Norm.L2: 60}
"""Shells to the farthest point of the domain."""

_TOUCH = (0.0, 0.5, 1.0)
"""Where lines touch within a shell: parts of its width."""


@dataclass(frozen=True, slots=True, eq=False)
class ShellTable:
    """The shells of one question with what is known about them; pair ``k T + r`` is shell k with rival r of T.

    Attributes
    ----------
    edges
        The radii ``t_0 .. t_m``, (m + 1,).
    balls
        Bounds of pre-activations on the balls ``t_1 .. t_m``.
    forms, constants
        Above the gains, (P, n) and (P,).
    store
        Lines above the gains.
    """

    question: PriceQuestion
    ground: Ground
    edges: Vector
    balls: BallBounds
    forms: Matrix
    constants: Vector
    store: LineStore

    @staticmethod
    def of(question: PriceQuestion) -> ShellTable:
        """Build the table: one batch of backward bounds."""
        ground = Ground.of(question.domain, question.center, question.cost)
        edges = shell_edges(ground, question.reach)
        balls = balls_about(question.network, ground, edges[1:])
        forms, constants = logit_forms(balls, question.rows)
        shell = np.repeat(np.arange(len(edges) - 1), len(question.rivals))
        low, high = ground.costs(edges[shell], up=False), ground.costs(edges[shell + 1], up=True)
        lines = ground.lines(forms, constants, touching(edges[shell], edges[shell + 1]))
        return ShellTable(question, ground, edges, balls, forms, constants, LineStore(lines, low, high))

    @property
    def rivals(self) -> int:
        """Number T of rivals."""
        return len(self.question.rivals)

    def shells(self, pairs: IntArray) -> IntArray:
        """The shells of some pairs."""
        return pairs // self.rivals

    def upper(self, multiplier: float) -> float:
        """A proved upper bound of phi."""
        return float(self.store.ends(multiplier).max(initial=-np.inf))


def touching(inner: Vector, outer: Vector) -> Matrix:
    """Distances (R, 3) at which lines are to touch within shells; positive where the shell holds more than the sample."""
    parts = inner[:, None] + np.array(_TOUCH) * (outer - inner)[:, None]
    return np.asarray(np.where(parts > 0, parts, 0.25 * outer[:, None]))


def shell_edges(ground: Ground, reach: float) -> Vector:
    """The radii: geometric up to the farthest point of the domain, a single shell where only a ball counts."""
    if reach < ground.farthest:
        return np.array([0.0, reach])
    count = _COUNTS[ground.cost.norm]
    return np.concatenate([[0.0], ground.farthest * _RATIO ** np.arange(1.0 - count, 0.5)])
