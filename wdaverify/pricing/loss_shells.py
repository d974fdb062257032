r"""Shells about a sample, on which the logits keep within narrower ranges than on the whole domain.

With radii ``r_0 > r_1 > ...`` every point within reach lies in a shell ``r_(k+1) <= length <= r_k`` or in the last ball. The
ranges of the logits on the ball ``r_k`` hold on its shell, and with them the regions that are halved. The cost of a shell's
points is at least ``r_(k+1)^p``, which enters with a multiplier of its own: for every ``mu <= lambda``

.. math:: \max_{shell} (g - \lambda\, cost) \le \max_{ball} (g - \mu\, cost) - (\lambda - \mu)\, r_{k+1}^p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.domain import Regions
from wdaverify.pricing.directions import Directions
from wdaverify.pricing.softmax_rows import LogitRegion

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._types import Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion, Prices

_SHELLS = 12
"""Radii that halve from one to the next."""

_FEW_CLASSES = 4
"""With so few classes, halving regions needs no narrow ranges."""

_ROUNDED = 1.0 - 2.0**-40
"""Covers what a length in float64 and its power lose."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossShell:
    """The points of a question with costs between `least` and `most`.

    Attributes
    ----------
    label
        Of the sample.
    ranges
        Proved upper bounds (K, K) of ``f_c - f_j`` in row c and column j.
    directions
        Of the ball of the shell.
    """

    label: int
    least: float
    most: float
    ranges: Matrix
    directions: Directions

    def regions(self, ceilings: Vector) -> tuple[LogitRegion, ...]:
        """Regions, one per class that can lead, that hold the logits of all points of the shell.

        Parameters
        ----------
        ceilings
            Proved upper bounds (K,) of ``f_c - f_label`` on the shell.
        """
        ranges, regions = self.ranges.copy(), []
        ranges[:, self.label] = np.minimum(ranges[:, self.label], ceilings)
        for leader in range(len(ranges)):
            # the leader is not below the label: what c exceeds the label by, it exceeds the leader by at most
            lower, upper = -ranges[leader], np.minimum(np.minimum(ranges[:, leader], ranges[:, self.label]), 0.0)
            upper[leader] = 0.0
            if (lower <= upper).all():
                regions.append(LogitRegion(leader, lower + 0.0, upper))
        return tuple(regions)


def loss_shells(question: PriceQuestion, price: Callable[[PriceQuestion], Prices]) -> list[LossShell]:
    """The shells of a question, the widest first: one alone where there are few classes."""
    radii = _radii(question)
    ranges = logit_ranges(question, radii)
    shells = []
    for k, radius in enumerate(radii):
        inner = radii[k + 1] if k + 1 < len(radii) else 0.0
        shells.append(
            LossShell(
                label=question.label,
                least=float(np.float64(inner * _ROUNDED) ** question.cost.order) * _ROUNDED,
                most=float(np.float64(radius / _ROUNDED) ** question.cost.order) / _ROUNDED,
                ranges=ranges[k],
                directions=Directions(replace(question, reach=min(question.reach, radius)), price),
            )
        )
    return shells


def _radii(question: PriceQuestion) -> list[float]:
    """Decreasing, the first beyond all points of the question (or the reach itself)."""
    if question.network.outputs <= _FEW_CLASSES:
        return [question.reach]
    box, center = question.domain, question.center
    corner = np.maximum(box.upper - center, center - box.lower)
    farthest = float(question.cost.lengths(corner)) / _ROUNDED
    radius = min(question.reach, farthest)
    if not (0.0 < radius < math.inf):
        return [question.reach]
    return [radius * 2.0**-k for k in range(_SHELLS)]


def logit_ranges(question: PriceQuestion, radii: list[float]) -> Matrix:
    """Proved upper bounds (B, K, K) of ``f_c - f_j`` in row c and column j, over the points of the domain within each radius."""
    network, classes = question.network, question.network.outputs
    regions = _balls(question, radii)
    pairs = [(c, j) for c in range(classes) for j in range(classes) if c != j]
    forms = np.zeros((len(pairs), classes))
    for row, (c, j) in zip(forms, pairs, strict=True):
        row[c], row[j] = 1.0, -1.0
    upper = np.zeros((len(radii), classes, classes))
    found = crown_objectives(network, regions, crown_bounds(network, regions), forms)
    for (c, j), values in zip(pairs, found.T, strict=True):
        upper[:, c, j] = values
    return upper


def _balls(question: PriceQuestion, radii: list[float]) -> Regions:
    """The balls of these radii; with scales, boxes that hold them, because no coordinate exceeds the norm."""
    box, center, scales = question.domain.sized(question.network.inputs), question.center, question.cost.scales
    if not all(math.isfinite(radius) for radius in radii):
        return Regions.of_box(box, question.network.inputs)
    if scales is None:
        return Regions.balls(box, np.tile(center, (len(radii), 1)), radii, question.cost.norm)
    widths = np.array(radii)[:, None] / scales / _ROUNDED
    lower = np.maximum(box.lower, np.nextafter(center - widths, -np.inf))
    return Regions(lower, np.minimum(box.upper, np.nextafter(center + widths, np.inf)))
