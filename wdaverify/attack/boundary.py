"""Walk along the boundary between two classes toward the point nearest to a sample, for many pairs at once.

A *row* is a sample ``x`` with its label ``y`` and a rival class ``j``; its margin is ``g = f_j - f_y``, negative at ``x``.
Wanted is a point of the box with ``g >= 0`` near ``x``. Three parts:

* `walk`: linearise g at the current point c and project both x and c exactly onto the linearised boundary inside the
  box; go to a mixture of the two projections, and from beyond the boundary first move back toward x. This is the
  iteration of FAB (Croce and Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack",
  ICML 2020), with the half-space and the box treated together.
* `first_crossing`: on the segment from x to a point with ``g >= 0``, the first change of sign on a grid, then regula falsi.
* `descend`: from a boundary point b, try points between b and the projection of x onto the boundary linearised at b,
  bring each back to the boundary on its ray, and keep what is nearer. The distance never rises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wdaverify.attack.rows import length

if TYPE_CHECKING:
    from torch import Tensor

    from wdaverify.attack.rows import Rows

_OVERSHOOT = 1.05
_TOWARD_SAMPLE = 0.1  # largest weight of the sample's own projection in a step
_PULL_BACK = 0.9  # what remains of the displacement after a step beyond the boundary
_GRID = 16
_CROSSINGS = 18
_SHORT_CROSSINGS = 9
_ROUNDINGS = 64
_FRACTIONS = (1.0, 0.5, 0.25, 0.1, 0.03)
_LARGEST_EXTENSION = 1.5
_SHORTENING = 0.1  # of the steps of `descend` after a round without gain


def walk(rows: Rows, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Walk along the boundary from `start` (R, n).

    Returns
    -------
    points, distances
        The nearest visited points with margin at least 0, shape (R, n), and their distances (R,); where none was
        visited, the sample itself at distance ``inf``.
    """
    current = rows.clip(start)
    best, least = rows.samples.clone(), torch.full_like(rows.samples[:, 0], torch.inf)
    for _ in range(steps):
        margin, gradient = rows.margin_and_gradient(current)
        best, least = _keep_nearer(rows, (best, least), current, margin)
        beyond = margin >= 0
        back = torch.where(beyond[:, None], rows.on_ray(current, torch.full_like(margin, _PULL_BACK)), current)
        linear = margin + (gradient * (back - current)).sum(1)
        at_sample = margin + (gradient * (rows.samples - current)).sum(1)
        from_sample = rows.step(rows.samples, gradient, -at_sample)
        from_here = rows.step(back, -gradient * linear.sign()[:, None], linear.abs())
        current = _mix(rows, (rows.samples, from_sample), (back, from_here))
    return _keep_nearer(rows, (best, least), current, rows.margin(current))


def _mix(rows: Rows, from_sample: tuple[Tensor, Tensor], from_here: tuple[Tensor, Tensor]) -> Tensor:
    """A mixture of two overshot projections, each (base, step); the nearer the boundary, the less the sample counts."""
    long, short = (length(step, rows.norm) for _, step in (from_sample, from_here))
    weight = (short / (short + long).clamp(min=torch.finfo(short.dtype).tiny)).clamp(max=_TOWARD_SAMPLE)[:, None]
    biased, plain = (base + _OVERSHOOT * step for base, step in (from_sample, from_here))
    mixed = rows.clip(weight * biased + (1 - weight) * plain)
    # A gradient close to zero on an unbounded domain can throw a row to infinity.
    return torch.where(mixed.isfinite().all(1, keepdim=True), mixed, from_here[0])


def _keep_nearer(rows: Rows, found: tuple[Tensor, Tensor], points: Tensor, margin: Tensor) -> tuple[Tensor, Tensor]:
    """Replace what was found by those `points` that are adversarial and nearer."""
    best, least = found
    distance = rows.distance(points)
    nearer = (margin >= 0) & (distance < least)
    return torch.where(nearer[:, None], points, best), torch.where(nearer, distance, least)


def first_crossing(rows: Rows, points: Tensor) -> Tensor:
    """The first point with margin at least 0 that a grid and `_cross` find between sample and `points` (R, n).

    The margin at `points` must be at least 0; the result has margin at least 0 and is no farther away.
    """
    low, high = torch.zeros_like(rows.samples[:, 0]), torch.ones_like(rows.samples[:, 0])
    below, above = rows.margin(rows.samples), rows.margin(points)
    found = torch.zeros_like(rows.labels, dtype=torch.bool)
    for k in range(1, _GRID):
        fraction = torch.full_like(high, k / _GRID)
        margin = rows.margin(rows.on_ray(points, fraction))
        first = (margin >= 0) & ~found
        found = found | first
        high, above = torch.where(first, fraction, high), torch.where(first, margin, above)
        low, below = torch.where(found, low, fraction), torch.where(found, below, margin)
    return _cross(rows, points, (low, below), (high, above), _CROSSINGS)


def _cross(rows: Rows, points: Tensor, start: tuple[Tensor, Tensor], end: tuple[Tensor, Tensor], rounds: int) -> Tensor:
    """The point that regula falsi leaves at the upper end of the fractions between `start` and `end`, each (fraction, margin).

    The margin is negative at the start and not negative at the end, and stays so. Illinois variant: the margin of an end that
    stays twice counts half; every third round halves the interval. Roots are sought a few roundings above 0, so that
    the upper end comes down where the margin is linear.
    """
    (low, below), (high, above) = start, end
    goal = _ROUNDINGS * torch.finfo(below.dtype).eps * below.abs()
    last = torch.zeros_like(low, dtype=torch.int8)
    for k in range(rounds):
        share = ((goal - below) / (above - below).clamp(min=torch.finfo(below.dtype).tiny)).clamp(0, 1)
        middle = low + (high - low) * (share if k % 3 < 2 else 0.5)
        margin = rows.margin(rows.on_ray(points, middle))
        reached = margin >= 0
        kept_below = torch.where(last > 0, below / 2, below)
        kept_above = torch.where(last < 0, above / 2, above)
        low, below = torch.where(reached, low, middle), torch.where(reached, kept_below, margin)
        high, above = torch.where(reached, middle, high), torch.where(reached, margin, kept_above)
        last = torch.where(reached, torch.ones_like(last), -torch.ones_like(last))
    return rows.on_ray(points, high)


def descend(rows: Rows, points: Tensor, rounds: int) -> Tensor:
    """Shorten the distance of boundary points (R, n) by line searches toward the linearised projection.

    Where the boundary has a kink the projection lies beyond it, and only short steps toward it help: a round without
    gain makes the row's next round shorter.
    """
    best, least = points, rows.distance(points)
    scale, at_samples = torch.ones_like(least), rows.margin(rows.samples)
    for _ in range(rounds):
        margin, gradient = rows.margin_and_gradient(best)
        deficit = -(margin + (gradient * (rows.samples - best)).sum(1))
        goal = rows.samples + rows.step(rows.samples, gradient, deficit)
        anchor, before = best, least
        for fraction in _FRACTIONS:
            trial = _trial(rows, anchor + fraction * scale[:, None] * (goal - anchor), (best, least), at_samples)
            best, least = _keep_nearer(rows, (best, least), trial, rows.margin(trial))
        scale = torch.where(least < before, scale, scale * _SHORTENING)
    return best


def _trial(rows: Rows, points: Tensor, known: tuple[Tensor, Tensor], at_samples: Tensor) -> Tensor:
    """Points brought to the boundary on their rays from the samples; the best `known` ones where that gains nothing."""
    best, least = known
    # Stretched to the distance to beat: only what is adversarial there can be nearer.
    stretch = (least / rows.distance(points)).nan_to_num(1.0).clamp(max=_LARGEST_EXTENSION)
    trial = rows.on_ray(points, stretch)
    margin = rows.margin(trial)
    reached = (margin >= 0) & trial.isfinite().all(1)
    # Rows without gain need no search: their best point is the end of an interval of length 0.
    trial, ends = torch.where(reached[:, None], trial, best), torch.ones_like(least)
    start = torch.where(reached, torch.zeros_like(least), ends), at_samples
    return _cross(rows, trial, start, (ends, margin.where(reached, torch.zeros_like(margin))), _SHORT_CROSSINGS)
