"""The closest-flip walk: small steps toward the class that is next, until the label flips.

From the sample, every step goes along the steepest direction of the norm by a part of the distance to the linearised boundary
of the class that leads among the rivals; which one that is may change on the way. The first point with another label is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from wdaverify.attack.rows import Rows

_SHARE = 0.25
"""Part of the linearised deficit that a step makes up for."""

_LEAST = 0.02
"""A step makes up for at least this part of the margin at the sample."""


def closest_flip(rows: Rows, steps: int) -> tuple[Tensor, Tensor]:
    """Walk until the label flips.

    Returns
    -------
    points, flipped
        The first point met with margin at least 0, shape (R, n), and whether there was one, (R,).
    """
    rows = rows.against(None)
    points, found = rows.samples, torch.zeros_like(rows.labels, dtype=torch.bool)
    least = None
    for _ in range(steps):
        margin, gradient = rows.margin_and_gradient(points)
        least = _LEAST * margin.abs() if least is None else least
        found = found | (margin >= 0)
        moved = rows.clip(points + rows.step(points, gradient, torch.maximum(-_SHARE * margin, least)))
        stays = found | ~moved.isfinite().all(1)
        points = torch.where(stays[:, None], points, moved)
    return points, found | (rows.margin(points) >= 0)
