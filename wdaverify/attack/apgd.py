"""Auto-PGD: projected ascent with momentum whose steps are halved, row by row, when they stop paying.

Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks", ICML 2020,
Algorithm 1. With the step ``z = P(x_k + eta u)`` and ``x_{k+1} = P(x_k + a (z - x_k) + (1 - a)(x_k - x_{k-1}))``, ``a =
0.75``, the step begins at twice the radius. At the checkpoints ``p_j``, ``p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06)``
(shares of all steps), a row halves its step and returns to its best point if fewer than 0.75 of the steps since the last
checkpoint rose, or if neither step nor best value have changed since then. For l1 the steepest step within the box
(`ball.steepest`) takes the place of the sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from wdaverify.attack.ball import projection, scattered, steepest
from wdaverify.attack.objectives import OBJECTIVES
from wdaverify.attack.pgd import Iterate, value_and_gradient

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from wdaverify.attack.rows import Rows

_MOMENTUM = 0.75
_RISING = 0.75


@dataclass(slots=True)
class _Progress:
    """Per row: the best point by the objective, and what the checkpoints compare."""

    point: Tensor
    gradient: Tensor
    value: Tensor
    size: Tensor
    rises: Tensor
    value_before: Tensor
    halved_before: Tensor

    def met(self, points: Tensor, value: Tensor, gradient: Tensor) -> None:
        """Keep the better points."""
        risen = value > self.value
        self.point = torch.where(risen[:, None], points, self.point)
        self.gradient = torch.where(risen[:, None], gradient, self.gradient)
        self.value = torch.where(risen, value, self.value)

    def check(self, window: int) -> Tensor:
        """Halve the steps of the rows whose last `window` steps did not pay; which those are, (R,)."""
        idle = (self.value <= self.value_before) & ~self.halved_before
        halved = (self.rises < _RISING * window) | idle
        self.size = torch.where(halved, self.size / 2, self.size)
        self.value_before, self.halved_before, self.rises = self.value, halved, torch.zeros_like(self.rises)
        return halved


def checkpoints(steps: int) -> list[int]:
    """The numbers of steps after which step sizes are reviewed.

    >>> checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return sorted({math.ceil(round(share * steps, 9)) for share in shares if 0 < share < 1})


def auto_pgd(rows: Rows, radius: Tensor, start: Tensor, *, objective: Callable[[Rows, Tensor], Tensor], steps: int) -> Iterate:
    """Ascend `objective` in balls of `radius` (R,) from `start` (R, n), which is projected."""
    inside = projection(rows, radius)
    points = before = inside(start)
    value, gradient, margins = value_and_gradient(rows, points, objective)
    kept = Iterate.of(rows).better(points, margins)
    never = torch.zeros_like(rows.labels, dtype=torch.bool)
    state = _Progress(points, gradient, value, 2 * radius, torch.zeros_like(rows.labels), value, never)
    reviews = checkpoints(steps)
    last = 0
    for step in range(1, steps + 1):
        inertia = 1.0 if step == 1 else _MOMENTUM
        aim = inside(points + steepest(rows, points, gradient, state.size))
        mixed = points + inertia * (aim - points) + (1 - inertia) * (points - before)
        before, points = points, inside(mixed)
        previous = value
        value, gradient, margins = value_and_gradient(rows, points, objective)
        kept = kept.better(points, margins)
        state.rises = state.rises + (value > previous)
        state.met(points, value, gradient)
        if step in reviews:
            halved = state.check(step - last)
            points = torch.where(halved[:, None], state.point, points)
            gradient = torch.where(halved[:, None], state.gradient, gradient)
            value = torch.where(halved, state.value, value)
            last = step
    return kept


def apgd(rows: Rows, radius: Tensor, *, steps: int, restarts: int, candidates: Tensor) -> Iterate:
    """Run Auto-PGD on the cross-entropy, on the logits ratio, and on the ratio aimed at each of the `candidates` (R, k) in turn.

    Every run leaves out the rows that fell before. The first restart begins at the samples, the others at random points.
    """
    kept = Iterate.of(rows)
    runs = [("ce", None), ("dlr", None), *(("dlr-targeted", k) for k in range(candidates.shape[1]))]
    for restart in range(restarts):
        for run, (name, k) in enumerate(runs):
            index = (kept.margins < 0).nonzero().squeeze(1)
            if len(index) == 0:
                break
            some, reach = rows.select(index), radius[index]
            some = some.against(None if k is None else candidates[index, k])
            start = scattered(some, reach, restart * len(runs) + run) if restart else some.samples
            kept = kept.put(index, auto_pgd(some, reach, start, objective=OBJECTIVES[name], steps=steps))
    return kept
