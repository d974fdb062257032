"""The least value of a linear form over a region, bounded from below with every rounding charged.

Over a box ``[c - r, c + r]`` it is ``a.c - |a|.r``. Over a box cut with a ball the Lagrangian of the ball gives a bound
for every multiplier (Boyd and Vandenberghe, *Convex Optimization*, section 5.1.3), so the multiplier may be computed
carelessly and only the bound is evaluated with care. With ``cap_k >= 0`` the room between the centre and the end of the
box towards which ``a`` descends:

* l1: ``a.x0 - theta R - sum_k cap_k max(0, |a_k| - theta)`` for ``theta >= 0``; the maximum is at a breakpoint ``|a_k|``,
  where the greedy knapsack has spent R, and equals the minimum of the linear program.
* l2: ``a.x0 - mu R^2 - sum_k m_k`` for ``mu > 0``, ``m_k = |a_k| cap_k - mu cap_k^2`` where ``|a_k| >= 2 mu cap_k`` and
  ``a_k^2 / (4 mu)`` elsewhere; the second form is valid everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.bounds.rounding import INFLATION, gamma, underflow

if TYPE_CHECKING:
    from torch import Tensor

    from wdaverify._types import Matrix, Vector
    from wdaverify.domain import Regions

_MULTIPLIER_STEPS = 4
"""Steps of the active-set iteration for the l2 multiplier; it usually ends after two or three."""


_LEADING = 32
"""So many of the largest coefficients are sorted at first for the l1 multiplier; the rest is rarely needed."""


def linear_minimum(coefficients: Tensor, regions: Regions) -> Tensor:
    """Lower bounds of ``a.x`` over each region, proved in real arithmetic for the given float coefficients.

    Parameters
    ----------
    coefficients
        Shape (B, R, n), float64: R forms for each of the B regions.

    Returns
    -------
    Tensor
        Shape (B, R); ``-inf`` where nothing finite is proved. Over boxes, and over boxes cut with l1 balls, the bound
        is the minimum itself up to rounding; over boxes cut with l2 balls it is the best of a few multipliers.

    Examples
    --------
    >>> from wdaverify.domain import Box, Regions
    >>> ball = Regions.balls(Box(0, 1), np.array([[0.5, 0.0]]), 0.75, Norm.L1)
    >>> forms = torch.tensor([[[2.0, -1.0], [2.0, -4.0]]], dtype=torch.float64)
    >>> linear_minimum(forms, ball).numpy().round(9).tolist()
    [[-0.25, -2.0]]
    """
    best = _over_box(coefficients, regions)
    if regions.norm is not None and regions.center is not None and regions.radius is not None:
        center, radius = as_tensor(regions.center), as_tensor(regions.radius)[:, None]
        room = _room(coefficients, regions, regions.center, regions.radius)
        over_ball = _over_l2_ball if regions.norm is Norm.L2 else _over_l1_ball
        if regions.norm is not Norm.LINF:
            best = torch.fmax(best, over_ball(coefficients, center, radius, room))
    return torch.nan_to_num(best, nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)


def as_tensor(array: Matrix | Vector) -> Tensor:
    """A float64 copy that torch may write to."""
    return torch.from_numpy(np.array(array, dtype=np.float64))


def dots(forms: Tensor, vectors: Tensor) -> Tensor:
    """``forms[b, r] . vectors[b]`` for forms (B, R, n) and vectors (B, n)."""
    return torch.matmul(forms, vectors.unsqueeze(-1)).squeeze(-1)


def _over_box(a: Tensor, regions: Regions) -> Tensor:
    """``a.c - |a|.r``; the rounding of both dot products is added to the radius."""
    finite = np.isfinite(regions.lower) & np.isfinite(regions.upper)
    low, high = np.where(finite, regions.lower, 0.0), np.where(finite, regions.upper, 0.0)
    terms = a.shape[-1] + 8
    with np.errstate(over="ignore", invalid="ignore"):
        center = low + 0.5 * (high - low)
        radius = np.nextafter(np.maximum(np.maximum(high - center, center - low), 0.0), np.inf)
        charged = radius + gamma(terms) * (np.abs(center) + 2.0 * radius) * INFLATION
    size = a.abs()
    bound = _lowered(dots(a, as_tensor(center)) - dots(size, as_tensor(charged)), underflow(terms, a.new_zeros(1)))
    if finite.all():
        return bound
    return torch.where(dots(size, as_tensor((~finite).astype(np.float64))) > 0, -torch.inf, bound)


def _room(a: Tensor, regions: Regions, center: Matrix, radius: Vector) -> Tensor:
    """How far each coordinate can descend, (B, R, n): to the end of the box or of the ball, rounded up."""
    below, above = (
        np.clip(np.nextafter(distance, np.inf), 0.0, radius[:, None])
        for distance in (center - regions.lower, regions.upper - center)
    )
    return torch.where(a > 0, as_tensor(below).unsqueeze(1), as_tensor(above).unsqueeze(1))


def _over_l1_ball(a: Tensor, center: Tensor, radius: Tensor, room: Tensor) -> Tensor:
    """The bound at the breakpoint where the coordinates of largest ``|a_k|`` have spent the radius."""
    size = a.abs()
    theta = _breakpoint(size, room, radius, _LEADING if a.shape[-1] > 4 * _LEADING else a.shape[-1])
    gain = theta * radius + (room * (size - theta.unsqueeze(-1)).clamp(min=0.0)).sum(dim=-1)
    return _below_center(a, size, center, gain)


def _breakpoint(size: Tensor, room: Tensor, radius: Tensor, leading: int) -> Tensor:
    """The ``|a_k|`` at which the greedy knapsack has spent R, or 0; all are sorted where the `leading` largest fall short."""
    ordered, order = size.topk(leading, dim=-1)
    spent = room.gather(-1, order).cumsum(dim=-1)
    position = (spent < radius.unsqueeze(-1)).sum(dim=-1, keepdim=True)
    theta = torch.nn.functional.pad(ordered, (0, 1)).gather(-1, position).squeeze(-1)
    short = position.squeeze(-1) == leading
    if leading < size.shape[-1] and bool(short.any()):
        theta[short] = _breakpoint(size[short], room[short], radius.expand(short.shape)[short], size.shape[-1])
    return theta


def _over_l2_ball(a: Tensor, center: Tensor, radius: Tensor, room: Tensor) -> Tensor:
    """The better of ``a.x0 - R ||a||`` and the bound at the multiplier that the active-set iteration ends with."""
    size = a.abs()
    largest = size.amax(dim=-1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    norm = largest.squeeze(-1) * (size / largest).square().sum(dim=-1).sqrt()  # scaled: squares do not underflow
    squares, mu = size.square(), norm / (2.0 * radius)
    for _ in range(_MULTIPLIER_STEPS):
        clipped = size >= 2.0 * mu.unsqueeze(-1) * room
        free = torch.where(clipped, 0.0, squares).sum(dim=-1)
        left = radius.square() - torch.where(clipped, room.square(), 0.0).sum(dim=-1)
        mu = torch.where((free > 0) & (left > 0), torch.sqrt(free / left) / 2.0, mu)
    factor = mu.unsqueeze(-1)
    # Strictly beyond rounding, else the form that is valid everywhere.
    clipped = size > 2.0 * factor * room * (1.0 + 8.0 * UNIT_ROUNDOFF)
    moves = torch.where(clipped, room * (size - factor * room), size * (size / (4.0 * factor)))
    dual = mu * radius * radius + moves.sum(dim=-1)
    return _below_center(a, size, center, torch.fmin(radius * norm, dual))


def _below_center(a: Tensor, size: Tensor, center: Tensor, gain: Tensor) -> Tensor:
    """``a.x0 - gain`` rounded down; `gain` is a computed sum of at most n + 1 nonnegative terms of few roundings each."""
    terms = a.shape[-1] + 16
    error = gamma(terms) * (dots(size, center.abs()) + gain) * INFLATION
    return _lowered(dots(a, center) - gain - error, underflow(terms, size.amax(dim=-1)))


def _lowered(value: Tensor, slack: Tensor) -> Tensor:
    """Below `value` by `slack` and by the few roundings that formed it."""
    return value - (8.0 * UNIT_ROUNDOFF * value.abs() + slack)
