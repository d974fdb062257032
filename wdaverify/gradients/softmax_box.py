r"""The steepest point of the cross-entropy on boxes of margins: where the network is affine, only the softmax moves.

On an activation cell the margins ``z_j = f_j - f_y`` (j != y) are affine with fixed gradients ``g_j``, and

.. math:: \nabla ce = \sum_{j \ne y} p_j g_j, \qquad p_j = \frac{e^{z_j}}{1 + \sum_{k \ne y} e^{z_k}}.

With ``1 / p_j = 1 + e^-z_j + sum_{k != y, j} e^(z_k - z_j)`` margins may have any size: what overflows is a share of 0. On a box
of margins every p_j lies between its values at two corners, because it grows with ``z_j`` and falls with the others;
hence bounds of every coordinate of the gradient, and also ``||grad|| <= (sum_j p_j) max_j ||g_j||``. Boxes are halved, best
first; half-spaces that are known to hold all margins of the cell cut them away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify._tolerances import TINY
from wdaverify.bounds.rounding import gamma
from wdaverify.gradients.norms import float_norms

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix, Norm, Vector

SLACK = 1.0 + 2.0**-45
"""Covers float64 exponentials (trusted to a few ulps, as every libm documents), sums over classes and quotients."""


class Shares(NamedTuple):
    """Bounds (B, J) of the softmax entries of the rivals, and upper bounds (B,) of their sum."""

    low: Matrix
    high: Matrix
    total: Vector


def shares(low: Matrix, high: Matrix) -> Shares:
    """Bounds of the softmax entries where the margins (B, J) lie between `low` and `high`.

    Examples
    --------
    >>> found = shares(np.array([[0.0]]), np.array([[np.log(3.0)]]))
    >>> found.low.round(6).tolist(), found.high.round(6).tolist(), found.total.round(6).tolist()
    ([[0.5]], [[0.75]], [0.75])
    """
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        most = 1.0 / (1.0 + np.exp(-high) + _others(low, high, -np.inf)) * SLACK + TINY
        least = 1.0 / (1.0 + np.exp(-low) + _others(high, low, np.inf)) / SLACK - TINY
        total = 1.0 / (1.0 + 1.0 / np.exp(high).sum(axis=1)) * SLACK + TINY
    # infinite margins may leave no number, which bounds nothing
    return Shares(np.fmax(least, 0.0), *(np.where(np.isnan(ends), 1.0, np.minimum(ends, 1.0)) for ends in (most, total)))


def _others(margins: Matrix, own: Matrix, side: float) -> Matrix:
    """``sum_{k != j} exp(margins_k - own_j)``, shape (B, J), with the differences rounded to a side."""
    powers = np.exp(np.nextafter(margins[:, None, :] - own[:, :, None], side))
    diagonal = np.arange(margins.shape[1])
    powers[:, diagonal, diagonal] = 0.0
    return np.asarray(powers.sum(axis=2))


@dataclass(frozen=True, slots=True, eq=False)
class CellGradients:
    """The gradients of all margins on one cell.

    Attributes
    ----------
    gradients
        Shape (J, n'), float64, each entry the nearest to the exact one, infinite beyond the range of floats.
    norms
        Upper bounds (J,) of their dual norms.
    norm
        Of the inputs.
    """

    gradients: Matrix
    norms: Vector
    norm: Norm

    def steepest(self, low: Matrix, high: Matrix) -> Vector:
        """Proved upper bounds (B,) of the gradient's dual norm on boxes of margins (B, J)."""
        p = shares(low, high)
        ends = p.low[:, :, None] * self.gradients, p.high[:, :, None] * self.gradients
        least, most = (pick(*ends).sum(axis=1) for pick in (np.minimum, np.maximum))
        sizes = float_norms(np.maximum(np.abs(least), np.abs(most)), self.norm)
        # rounding of products and sums is relative to the sizes of the terms, or below TINY
        lost = gamma(self.gradients.shape[0] + self.gradients.shape[1] + 8) * (p.high @ self.norms)
        coordinatewise = (sizes + lost + TINY) * SLACK
        return np.asarray(np.nextafter(np.fmin(coordinatewise, p.total * self.norms.max() * SLACK), np.inf))


class MarginBoxes:
    """Open boxes of one cell's margins, with their bounds.

    Attributes
    ----------
    closed
        The largest bound of a box that was closed.
    """

    def __init__(self, cell: CellGradients, low: Vector, high: Vector) -> None:
        self._cell = cell
        self._low, self._high = low[None], high[None]
        self._bounds = cell.steepest(self._low, self._high)
        self.closed = 0.0

    @property
    def upper(self) -> float:
        """A proved upper bound over all boxes."""
        return float(np.max(self._bounds, initial=self.closed))

    def best(self) -> Vector | None:
        """The centre (J,) of the box with the largest bound; ``None`` when none is open."""
        if not len(self._bounds):
            return None
        k = int(self._bounds.argmax())
        return np.asarray(0.5 * (self._low[k] + self._high[k]))

    def cut(self, direction: Vector, most: float) -> None:
        """Drop boxes beyond ``direction . z <= most``, which holds on the whole cell."""
        least = np.minimum(direction * self._low, direction * self._high)
        sums = least.sum(axis=1)
        slack = gamma(len(direction) + 4) * np.abs(least).sum(axis=1)
        self._keep(sums - slack <= most)

    def halve(self, cutoff: float, count: int) -> None:
        """Close what is at most `cutoff`, and halve the best boxes where it matters most for the softmax."""
        done = self._bounds <= cutoff
        self.closed = float(np.max(self._bounds[done], initial=self.closed))
        self._keep(~done)
        chosen = np.argsort(-self._bounds, kind="stable")[:count]
        if not len(chosen):
            return
        low, high = self._low[chosen], self._high[chosen]
        p = shares(low, high)
        axis = (p.high - p.low).argmax(axis=1)
        rows = np.arange(len(chosen))
        middle = 0.5 * (low[rows, axis] + high[rows, axis])
        first_high, second_low = high.copy(), low.copy()
        first_high[rows, axis] = second_low[rows, axis] = middle
        rest = np.ones(len(self._bounds), dtype=bool)
        rest[chosen] = False
        parents = np.concatenate([self._bounds[chosen]] * 2)
        self._keep(rest)
        more_low, more_high = np.concatenate([low, second_low]), np.concatenate([first_high, high])
        bounds = np.minimum(self._cell.steepest(more_low, more_high), parents)
        self._low, self._high = np.concatenate([self._low, more_low]), np.concatenate([self._high, more_high])
        self._bounds = np.concatenate([self._bounds, bounds])

    def _keep(self, which: BoolArray) -> None:
        self._low, self._high, self._bounds = self._low[which], self._high[which], self._bounds[which]
