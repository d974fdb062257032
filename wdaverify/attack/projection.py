"""The point of a box that is nearest to a base point and reaches a half-space, for many rows at once.

For a base point ``p`` of the box, a gradient ``a`` and a deficit ``c > 0`` the problem is::

    minimise ||delta||   subject to   <a, delta> >= c,   lower <= p + delta <= upper.

No coordinate moves against the sign of its ``a_k``, so with the room ``r_k >= 0`` that the box leaves in that direction
the unknowns are sizes ``0 <= s_k <= r_k`` with ``sum_k |a_k| s_k = c``, and all three norms have closed forms:

* linf: ``s_k = min(t, r_k)``;
* l2: ``s_k = min(t |a_k|, r_k)`` (the multiplier of the constraint is ``t``);
* l1: coordinates are used up in the order of decreasing ``|a_k|`` (a fractional knapsack).

In the first two the left side is piecewise linear and increasing in ``t``; sorting its kinks solves it exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wdaverify._types import Norm

if TYPE_CHECKING:
    from torch import Tensor


def reach_half_space(gradient: Tensor, deficit: Tensor, *, room_up: Tensor, room_down: Tensor, norm: Norm) -> Tensor:
    """The smallest step that gains `deficit` along `gradient` without leaving the box.

    Parameters
    ----------
    gradient
        Shape (R, n).
    deficit
        Shape (R,); rows where it is not positive do not move.
    room_up, room_down
        Shape (R, n), not negative, possibly ``inf``: how far each coordinate may rise and fall.
    norm
        The norm of the step.

    Returns
    -------
    Tensor
        Shape (R, n). Where the box is too small for the deficit, the step to the corner that gains most; there a
        coordinate without gradient stays.

    Examples
    --------
    >>> a, c = torch.tensor([[2.0, -1.0]]), torch.tensor([1.0])
    >>> room = torch.tensor([[0.25, 9.0]])
    >>> reach_half_space(a, c, room_up=room, room_down=room, norm=Norm.LINF).tolist()
    [[0.25, -0.5]]
    """
    size = gradient.abs()
    room = torch.where(gradient > 0, room_up, room_down).where(gradient != 0, torch.zeros_like(room_up))
    if norm is Norm.L1:
        moves = _knapsack(size, room, deficit)
    elif norm is Norm.L2:
        breaks = (room / size).where(gradient != 0, torch.zeros_like(room))
        moves = torch.minimum(size * _level(size.square(), breaks, deficit), room)
    else:
        moves = torch.minimum(_level(size, room, deficit), room)
    return moves.where(deficit[:, None] > 0, torch.zeros_like(moves)) * gradient.sign()


def _level(weights: Tensor, breaks: Tensor, deficit: Tensor) -> Tensor:
    """The smallest t, shape (R, 1), with ``sum_k weights_k min(t, breaks_k) >= deficit``; the last break if there is none."""
    order = breaks.argsort(dim=1)
    w, b = weights.gather(1, order), breaks.gather(1, order)
    spent = (w * b).where(w > 0, torch.zeros_like(b)).cumsum(1)
    before = torch.cat([torch.zeros_like(spent[:, :1]), spent[:, :-1]], dim=1)
    slope = w.flip(1).cumsum(1).flip(1)  # of the coordinates that still move beyond the previous break
    gain = before + (b * slope).where(slope > 0, torch.zeros_like(b))
    first = (gain < deficit[:, None]).sum(1, keepdim=True).clamp(max=gain.shape[1] - 1)
    level = (deficit[:, None] - before.gather(1, first)) / slope.gather(1, first)
    # Not `min(level, break)` alone: slope 0 gives inf or NaN, where only the break is meaningful.
    last = b.gather(1, first)
    return torch.where(level <= last, level.clamp(min=0.0), last)


def _knapsack(size: Tensor, room: Tensor, deficit: Tensor) -> Tensor:
    """The moves of least sum that gain `deficit`: steepest coordinates first, the last one in part."""
    order = size.argsort(dim=1, descending=True, stable=True)
    a, r = size.gather(1, order), room.gather(1, order)
    gained = (a * r).where(a > 0, torch.zeros_like(r)).cumsum(1)
    before = torch.cat([torch.zeros_like(gained[:, :1]), gained[:, :-1]], dim=1)
    part = ((deficit[:, None] - before) / a).where(a > 0, torch.zeros_like(r))
    return torch.zeros_like(room).scatter(1, order, torch.minimum(part.clamp(min=0.0), r))
