"""A batch of samples under attack, and what every attack asks of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from wdaverify.attack.noise import uniform
from wdaverify.attack.projection import reach_half_space

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from wdaverify._types import Norm


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """R rows: samples with a label and perhaps a rival class each, and the box in which each may move.

    The margin of a row is ``g = f_j - f_y`` for its rival j, or ``max_j f_j - f_y`` if rows have none; the row is adversarial
    where ``g >= 0``.

    Attributes
    ----------
    logits
        Differentiable (R, n) -> (R, K).
    samples, labels
        Shapes (R, n), (R,).
    rivals
        Shape (R,), or ``None``.
    lower, upper
        Shape (n,) or (R, n), the ends of the boxes, possibly infinite.
    norm
        The norm that measures distance.
    keys
        Shape (R,), keys of the samples' random numbers (`attack.noise`).
    seed
        Of those numbers.
    """

    logits: Callable[[Tensor], Tensor]
    samples: Tensor
    labels: Tensor
    rivals: Tensor | None
    lower: Tensor
    upper: Tensor
    norm: Norm
    keys: Tensor
    seed: int = 0

    @property
    def count(self) -> int:
        """Number R of rows."""
        return len(self.labels)

    def select(self, index: Tensor) -> Rows:
        """The rows of that index, (S,) whole numbers or (R,) booleans."""
        lower, upper = (end if end.ndim == 1 else end[index] for end in (self.lower, self.upper))
        rivals = None if self.rivals is None else self.rivals[index]
        samples, labels, keys = self.samples[index], self.labels[index], self.keys[index]
        return replace(self, samples=samples, labels=labels, rivals=rivals, lower=lower, upper=upper, keys=keys)

    def against(self, rivals: Tensor | None) -> Rows:
        """The same rows with other rivals (R,)."""
        return replace(self, rivals=rivals)

    def with_logits(self, logits: Callable[[Tensor], Tensor], dtype: torch.dtype) -> Rows:
        """The same rows for another evaluation of the network, in its arithmetic."""
        samples, lower, upper = (t.to(dtype) for t in (self.samples, self.lower, self.upper))
        return replace(self, logits=logits, samples=samples, lower=lower, upper=upper)

    def margin(self, points: Tensor) -> Tensor:
        """The margin at `points` (R, n), shape (R,)."""
        with torch.no_grad():
            return self.difference(self.logits(points))

    def margin_and_gradient(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The margin (R,) and its gradient (R, n), of one activation cell where several meet."""
        leaf = points.detach().requires_grad_()
        margin = self.difference(self.logits(leaf))
        (gradient,) = torch.autograd.grad(margin.sum(), leaf)
        return margin.detach(), gradient

    def difference(self, outputs: Tensor) -> Tensor:
        """The margin (R,) of logits (R, K)."""
        own = outputs.gather(1, self.labels[:, None])
        if self.rivals is None:
            return (outputs.scatter(1, self.labels[:, None], -torch.inf).amax(1, keepdim=True) - own).squeeze(1)
        return (outputs.gather(1, self.rivals[:, None]) - own).squeeze(1)

    def distance(self, points: Tensor) -> Tensor:
        """Distance (R,) of `points` from the samples."""
        return length(points - self.samples, self.norm)

    def clip(self, points: Tensor) -> Tensor:
        """The points, moved into the box coordinate by coordinate."""
        return torch.minimum(torch.maximum(points, self.lower), self.upper)

    def step(self, base: Tensor, gradient: Tensor, deficit: Tensor) -> Tensor:
        """The smallest step from `base` that gains `deficit` along `gradient` within the box."""
        up, down = self.upper - base, base - self.lower
        return reach_half_space(gradient, deficit, room_up=up, room_down=down, norm=self.norm)

    def on_ray(self, points: Tensor, fraction: Tensor) -> Tensor:
        """``x + fraction (point - x)``, clipped to the box."""
        return self.clip(self.samples + fraction[:, None] * (points - self.samples))

    def noise(self, count: int, stream: int) -> Tensor:
        """Numbers in [0, 1) that belong to each row's sample, shape (R, count)."""
        return uniform(self.keys, count, seed=self.seed, stream=stream).to(self.samples.dtype)


def length(steps: Tensor, norm: Norm) -> Tensor:
    """The norm (R,) of each row of `steps` (R, n)."""
    lengths: Tensor = torch.linalg.vector_norm(steps, ord=norm.order, dim=1)
    return lengths
