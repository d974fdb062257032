"""Projected gradient ascent in a ball, with steps along the steepest direction of its norm.

``x <- P(x + s_k u(grad loss))`` with the steepest unit step u of the norm and the euclidean projection P onto ball and box
(Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018). The step falls from the radius
toward 0 along a cosine. The iterate of largest margin is kept, not the last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from wdaverify.attack.ball import projection, scattered, steepest
from wdaverify.attack.objectives import OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from wdaverify.attack.rows import Rows


@dataclass(frozen=True, slots=True)
class Iterate:
    """What an ascent keeps of the points it met.

    Attributes
    ----------
    points
        Per row the point of largest margin, shape (R, n).
    margins
        Those margins, shape (R,).
    """

    points: Tensor
    margins: Tensor

    @staticmethod
    def of(rows: Rows) -> Iterate:
        """Nothing met yet: the samples, with margin ``-inf``."""
        return Iterate(rows.samples, torch.full_like(rows.samples[:, 0], -torch.inf))

    def better(self, points: Tensor, margins: Tensor) -> Iterate:
        """The better of what was kept and of new points, row by row."""
        risen = margins > self.margins
        return Iterate(torch.where(risen[:, None], points, self.points), torch.where(risen, margins, self.margins))

    def put(self, index: Tensor, other: Iterate) -> Iterate:
        """The better of this and of what another ascent kept for the rows of an index (S,)."""
        chosen = Iterate(self.points[index], self.margins[index]).better(other.points, other.margins)
        return Iterate(self.points.index_copy(0, index, chosen.points), self.margins.index_copy(0, index, chosen.margins))


def value_and_gradient(rows: Rows, points: Tensor, objective: Callable[[Rows, Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The objective (R,), its gradient (R, n) and the margin (R,) over all rivals, by one pass forward and one backward."""
    # Not through torch.compile: on a CPU, steps of 1024 rows of a small network take a fifth less, those of 128 rows take longer,
    # and four seconds of compiling are more than most attacks of such networks last.
    leaf = points.detach().requires_grad_()
    outputs = rows.logits(leaf)
    value = objective(rows, outputs)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), gradient, rows.against(None).difference(outputs.detach())


def ascend_in_ball(
    rows: Rows, radius: Tensor, start: Tensor, *, objective: Callable[[Rows, Tensor], Tensor], steps: int, first: float = 1.0
) -> Iterate:
    """Ascend for a fixed number of steps.

    Parameters
    ----------
    radius
        Shape (R,).
    start
        Shape (R, n); it is projected.
    objective
        Rows and logits (R, K) to what is climbed (R,).
    first
        Length of the first step relative to the radius.
    """
    inside = projection(rows, radius)
    points, kept = inside(start), Iterate.of(rows)
    for step in range(steps):
        _, gradient, margins = value_and_gradient(rows, points, objective)
        kept = kept.better(points, margins)
        size = first * radius * 0.5 * (1 + math.cos(math.pi * step / steps))
        points = inside(points + steepest(rows, points, gradient, size))
    return kept.better(points, rows.against(None).margin(points))


def pgd(rows: Rows, radius: Tensor, *, steps: int, restarts: int, candidates: Tensor) -> Iterate:  # noqa: ARG001 - aims at none
    """Ascend the cross-entropy from the samples, then from random points for the rows that withstood."""
    kept = Iterate.of(rows)
    for restart in range(restarts):
        index = (kept.margins < 0).nonzero().squeeze(1)
        if len(index) == 0:
            break
        some, reach = rows.select(index), radius[index]
        start = scattered(some, reach, restart) if restart else some.samples
        kept = kept.put(index, ascend_in_ball(some, reach, start, objective=OBJECTIVES["ce"], steps=steps))
    return kept
