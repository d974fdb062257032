"""Where the walks of a nearest-point attack begin: promising ones among random points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wdaverify.attack.rows import length

if TYPE_CHECKING:
    from torch import Tensor

    from wdaverify.attack.rows import Rows


SCOUTS = 32
"""Random points per row among which a start is chosen."""


def spread_start(rows: Rows, restart: int) -> Tensor:
    """Per row the nearest of some random points of the domain with margin at least 0, or the one of largest margin, (R, n).

    Points are uniform between finite ends of the box, and Cauchy about the sample where one is missing: the heavy tail of
    ``x + (1 + |x|) tan(pi (u - 1/2))`` reaches every scale.
    """
    best, rank = rows.samples, torch.full_like(rows.samples[:, 0], -torch.inf)
    nearest = torch.full_like(rank, torch.inf)
    for scout in range(SCOUTS):
        points = _spread(rows, rows.noise(rows.samples.shape[1], SCOUTS * restart + scout))
        margin, distance = rows.margin(points), rows.distance(points)
        hit = margin >= 0
        better = torch.where(hit, distance < nearest, nearest.isinf() & (margin > rank))
        best = torch.where(better[:, None], points, best)
        rank, nearest = torch.where(better, margin, rank), torch.where(better & hit, distance, nearest)
    return best


def near_start(rows: Rows, restart: int, distances: Tensor) -> Tensor:
    """Per row the point (R, n) of largest margin among random ones `distances` (R,) away from the sample."""
    best, largest = rows.samples, torch.full_like(rows.samples[:, 0], -torch.inf)
    for scout in range(SCOUTS):
        direction = 2 * rows.noise(rows.samples.shape[1], SCOUTS * restart + scout) - 1
        unit = direction / length(direction, rows.norm).clamp(min=torch.finfo(direction.dtype).tiny)[:, None]
        points = rows.clip(rows.samples + distances[:, None] * unit)
        margin = rows.margin(points)
        better = margin > largest
        best, largest = torch.where(better[:, None], points, best), torch.where(better, margin, largest)
    return best


def _spread(rows: Rows, fractions: Tensor) -> Tensor:
    """Random points of the boxes (R, n)."""
    finite = rows.lower.isfinite() & rows.upper.isfinite()
    lower, upper = (end.where(finite, torch.zeros_like(end)) for end in (rows.lower, rows.upper))
    cauchy = rows.samples + (1 + rows.samples.abs()) * torch.tan(torch.pi * (fractions - 0.5))
    return rows.clip(torch.where(finite, lower + fractions * (upper - lower), cauchy))
