"""Euclidean projection onto a ball about the sample cut with the box, and the steepest step of a norm, for many rows at once.

The projection of ``x + v`` onto ``{x + d : ||d|| <= r, lower <= x + d <= upper}`` never changes the sign of a coordinate of v
(the box contains x), so with the room ``b_k >= 0`` that the box leaves in that direction the unknowns are sizes:

* linf: ``|d_k| = min(|v_k|, b_k, r)``;
* l2: ``|d_k| = min(s |v_k|, b_k)`` with the largest ``s <= 1`` for which ``sum d_k^2 <= r^2`` (``1/s - 1`` is the multiplier);
* l1: ``|d_k| = min(max(|v_k| - theta, 0), b_k)`` with the least ``theta >= 0`` for which ``sum |d_k| <= r``.

In both, the sum is piecewise linear in ``s^2`` or in ``theta``; sorting its kinks solves it exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wdaverify._types import Norm

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from wdaverify.attack.rows import Rows


def project(rows: Rows, points: Tensor, radius: Tensor) -> Tensor:
    """The points of the balls of `radius` (R,) about the samples, within their boxes, that are nearest to `points` (R, n).

    Nearest in l2, whatever the norm of the ball.
    """
    return projection(rows, radius)(points)


def projection(rows: Rows, radius: Tensor) -> Callable[[Tensor], Tensor]:
    """`project` as a function of the points alone, for loops: for linf the ends of ball and box are met once for all steps."""
    if rows.norm is not Norm.LINF:
        return lambda points: _project(rows, points, radius)
    low = torch.maximum(rows.samples - radius[:, None], rows.lower)
    high = torch.minimum(rows.samples + radius[:, None], rows.upper)
    return lambda points: torch.minimum(torch.maximum(points, low), high)


def _project(rows: Rows, points: Tensor, radius: Tensor) -> Tensor:
    """`project` for l1 and l2."""
    samples = rows.samples
    wish = points - samples
    size, room = wish.abs(), torch.where(wish > 0, rows.upper - samples, samples - rows.lower)
    moves = _shrink(size, room, radius) if rows.norm is Norm.L2 else _soften(size, room, radius)
    return rows.clip(samples + moves * wish.sign())


def _shrink(size: Tensor, room: Tensor, radius: Tensor) -> Tensor:
    """``min(s size, room)`` of euclidean length at most `radius`, with the largest ``s <= 1``."""
    # Lengths relative to the radius: squares of tiny numbers would vanish.
    scale = radius.clamp(min=torch.finfo(size.dtype).tiny)[:, None]
    v, b = size / scale, room / scale
    kinks = (b / v).where(v > 0, torch.full_like(v, torch.inf))  # the s at which a coordinate meets the box
    kinks, order = kinks.sort(dim=1)
    v, b = v.gather(1, order), b.gather(1, order)
    met = b.square().where(kinks.isfinite(), torch.zeros_like(b)).cumsum(1)
    met = torch.cat([torch.zeros_like(met[:, :1]), met[:, :-1]], dim=1)  # spent by the coordinates that met the box before
    free = v.square().flip(1).cumsum(1).flip(1)
    spent = met + free * kinks.square().clamp(max=1e30)
    first = (spent.where(free > 0, met) < 1).sum(1, keepdim=True).clamp(max=v.shape[1] - 1)
    s = ((1 - met.gather(1, first)).clamp(min=0) / free.gather(1, first).clamp(min=torch.finfo(v.dtype).tiny)).sqrt()
    return torch.minimum(size * s.clamp(max=1.0), room).where(radius[:, None] > 0, torch.zeros_like(size))


def _soften(size: Tensor, room: Tensor, radius: Tensor) -> Tensor:
    """``min(max(size - theta, 0), room)`` of sum at most `radius`, with the least ``theta >= 0``."""
    ends = torch.cat([size, (size - room).clamp(min=0)], dim=1)  # between them a coordinate shrinks as theta grows
    slopes = torch.cat([torch.ones_like(size), -torch.ones_like(size)], dim=1)
    ends, order = ends.sort(dim=1, descending=True, stable=True)
    slopes = slopes.gather(1, order).cumsum(1)  # of the sum, just below each end
    gaps = ends - torch.cat([ends[:, 1:], torch.zeros_like(ends[:, :1])], dim=1)
    total = (slopes * gaps).cumsum(1)  # the sum at the next lower end
    first = (total < radius[:, None]).sum(1, keepdim=True)
    inside = first >= ends.shape[1]
    first = first.clamp(max=ends.shape[1] - 1)
    before = total.gather(1, first) - (slopes * gaps).gather(1, first)
    theta = ends.gather(1, first) - (radius[:, None] - before) / slopes.gather(1, first).clamp(min=1.0)
    return torch.minimum((size - theta.where(~inside, torch.zeros_like(theta)).clamp(min=0)).clamp(min=0), room)


def steepest(rows: Rows, points: Tensor, gradient: Tensor, size: Tensor) -> Tensor:
    """The step (R, n) of length at most `size` (R,) from `points` that gains most along `gradient`.

    For linf ``size sign(g)``: no coordinate takes from another, and the projection takes back what leaves the box. For l2
    ``size g / ||g||``, where coordinates that stand at the end of their box and push outward do not count; for l1 the box is part
    of the question: the steepest coordinates are used up one after the other.
    """
    if rows.norm is Norm.LINF:
        return size[:, None] * gradient.sign()
    room = torch.where(gradient > 0, rows.upper - points, points - rows.lower)
    pull = gradient.where(room > 0, torch.zeros_like(gradient))
    if rows.norm is Norm.L2:
        largest = pull.abs().amax(1, keepdim=True)  # first scaled by it: squares of tiny gradients would vanish
        pull = pull / largest.where(largest > 0, torch.ones_like(largest))
        unit: Tensor = pull / torch.linalg.vector_norm(pull, dim=1, keepdim=True).clamp(min=1.0)
        return size[:, None] * unit
    order = pull.abs().argsort(dim=1, descending=True, stable=True)
    wanted = room.where(pull != 0, torch.zeros_like(room)).gather(1, order)
    before = torch.cat([torch.zeros_like(wanted[:, :1]), wanted[:, :-1].cumsum(1)], dim=1)
    taken = torch.minimum((size[:, None] - before).clamp(min=0), wanted)
    return torch.zeros_like(pull).scatter(1, order, taken) * pull.sign()


def scattered(rows: Rows, radius: Tensor, stream: int) -> Tensor:
    """A random point (R, n) of each ball: a random direction, a random length, and the projection."""
    n = rows.samples.shape[1]
    drawn = rows.noise(n + 1, stream)
    direction = 2 * drawn[:, :n] - 1
    if rows.norm is not Norm.LINF:
        lengths = torch.linalg.vector_norm(direction, ord=rows.norm.order, dim=1, keepdim=True)
        direction = direction * drawn[:, n:] / lengths.clamp(min=torch.finfo(direction.dtype).tiny)
    return project(rows, rows.samples + radius[:, None] * direction, radius)
