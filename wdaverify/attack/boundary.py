"""Walk along the boundary between two classes toward the point nearest to a sample, for many pairs at once.

A *row* is a sample ``x`` with its label ``y`` and a rival class ``j``; its margin is ``g = f_j - f_y``, negative at ``x``.
Wanted is a point of the box with ``g >= 0`` near ``x``. Three parts:

* `walk`: linearise g at the current point c and project both x and c exactly onto the linearised boundary inside the
  box; go to a mixture of the two projections, and from beyond the boundary first move back toward x. This is the
  iteration of FAB (Croce and Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack",
  ICML 2020), with the half-space and the box treated together.
* `first_crossing`: on the segment from x to a point with ``g >= 0``, the first change of sign on a grid, bisected.
* `descend`: from a boundary point b, try points between b and the projection of x onto the boundary linearised at b,
  bring each back to the boundary by bisection, and keep what is nearer. The distance never rises.
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
_BISECTIONS = 45
_SHORT_BISECTIONS = 30
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
    """The first point with margin at least 0 that a grid and bisection find between sample and `points` (R, n).

    The margin at `points` must be at least 0; the result has margin at least 0 and is no farther away.
    """
    high = torch.ones_like(rows.samples[:, 0])
    for k in range(_GRID - 1, 0, -1):
        fraction = torch.full_like(high, k / _GRID)
        high = torch.where(rows.margin(rows.on_ray(points, fraction)) >= 0, fraction, high)
    return _bisect(rows, points, high - 1 / _GRID, high, _BISECTIONS)


def _bisect(rows: Rows, points: Tensor, low: Tensor, high: Tensor, rounds: int) -> Tensor:
    """Halve the fractions between `low` (margin negative) and `high` (not negative), and return the point at `high`."""
    for _ in range(rounds):
        middle = (low + high) / 2
        reached = rows.margin(rows.on_ray(points, middle)) >= 0
        low, high = torch.where(reached, low, middle), torch.where(reached, middle, high)
    return rows.on_ray(points, high)


def descend(rows: Rows, points: Tensor, rounds: int) -> Tensor:
    """Shorten the distance of boundary points (R, n) by line searches toward the linearised projection.

    Where the boundary has a kink the projection lies beyond it, and only short steps toward it help: a round without
    gain makes the row's next round shorter.
    """
    best, least = points, rows.distance(points)
    scale = torch.ones_like(least)
    for _ in range(rounds):
        margin, gradient = rows.margin_and_gradient(best)
        deficit = -(margin + (gradient * (rows.samples - best)).sum(1))
        goal = rows.samples + rows.step(rows.samples, gradient, deficit)
        anchor, before = best, least
        for fraction in _FRACTIONS:
            trial = _trial(rows, anchor + fraction * scale[:, None] * (goal - anchor), (best, least))
            best, least = _keep_nearer(rows, (best, least), trial, rows.margin(trial))
        scale = torch.where(least < before, scale, scale * _SHORTENING)
    return best


def _trial(rows: Rows, points: Tensor, known: tuple[Tensor, Tensor]) -> Tensor:
    """Points brought to the boundary on their rays from the samples; the best `known` ones where that gains nothing."""
    best, least = known
    # Stretched to the distance to beat: only what is adversarial there can be nearer.
    stretch = (least / rows.distance(points)).nan_to_num(1.0).clamp(max=_LARGEST_EXTENSION)
    trial = rows.on_ray(points, stretch)
    reached = (rows.margin(trial) >= 0) & trial.isfinite().all(1)
    trial = torch.where(reached[:, None], trial, best)
    return _bisect(rows, trial, torch.zeros_like(least), torch.ones_like(least), _SHORT_BISECTIONS)
