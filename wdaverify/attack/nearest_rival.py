"""The nearest adversarial point over the likeliest rivals of every sample: the method ``nearest``.

All pairs of sample and rival walk along their boundaries at once in float32 (`attack.boundary`); the pairs that came close to the
best of their sample then descend in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from wdaverify.attack.boundary import descend, first_crossing
from wdaverify.attack.nearest import walks
from wdaverify.attack.settle import confirmed

if TYPE_CHECKING:
    from torch import Tensor

    from wdaverify.attack.rows import Rows

_PROMISING = 1.5
"""Rivals whose first walk ended farther than this multiple of the best do not walk again; all do if none was reached."""

_DESCENDING = 3
"""Rivals per sample that descend."""

_CLOSE = 1.1
"""Rivals whose walk ended farther than this multiple of the best do not descend."""

_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest points known, in float64.

    Attributes
    ----------
    points, distances
        Shapes (R, n) and (R,); distance ``inf`` where none is known.
    parts
        Shape (R,): which part of the attack found it, as a number.
    """

    points: Tensor
    distances: Tensor
    parts: Tensor

    @staticmethod
    def of(exact: Rows) -> Nearest:
        """Nothing known yet."""
        return Nearest(exact.samples, torch.full_like(exact.samples[:, 0], torch.inf), torch.zeros_like(exact.labels))

    def put(self, index: Tensor, points: Tensor, distances: Tensor, part: int) -> Nearest:
        """The nearer of what is known and of new points for the rows of an index (S,)."""
        nearer = distances < self.distances[index]
        chosen = torch.where(nearer[:, None], points, self.points[index])
        parts = torch.where(nearer, torch.full_like(self.parts[index], part), self.parts[index])
        return Nearest(
            self.points.index_copy(0, index, chosen),
            self.distances.index_copy(0, index, torch.minimum(distances, self.distances[index])),
            self.parts.index_copy(0, index, parts),
        )


def nearest_rival(rough: Rows, exact: Rows, *, steps: int, restarts: int, candidates: Tensor) -> Nearest:
    """Look for the nearest point of each of the `candidates` (R, k).

    Parameters
    ----------
    rough, exact
        The same rows, without rivals, evaluated in float32 and in float64.
    """
    count, ranks = candidates.shape
    owner = torch.arange(count, device=candidates.device).repeat_interleave(ranks)
    pairs = rough.select(owner).against(candidates.reshape(-1))
    points, distances = walks(pairs, steps, range(1))
    table = distances.reshape(count, ranks)
    promising = (table <= _PROMISING * table.amin(1, keepdim=True)).reshape(-1).nonzero().squeeze(1)
    if restarts > 1 and len(promising):
        some, known = pairs.select(promising), (points[promising], distances[promising])
        more = walks(some, steps, range(1, restarts), known)
        points, distances = points.index_copy(0, promising, more[0]), distances.index_copy(0, promising, more[1])
    table = distances.reshape(count, ranks)
    order = table.argsort(dim=1, stable=True)
    rank = torch.zeros_like(order).scatter(1, order, torch.arange(ranks, device=order.device).expand(count, ranks).contiguous())
    close = table.isfinite() & (rank < _DESCENDING) & (table <= _CLOSE * table.amin(1, keepdim=True))
    chosen = close.reshape(-1).nonzero().squeeze(1)
    some = exact.select(owner[chosen]).against(candidates.reshape(-1)[chosen])
    points, distances = brought_near(some, points[chosen])
    # The nearest of each sample, without a loop: by rank among its own pairs.
    full = torch.full((count * ranks,), torch.inf, dtype=distances.dtype, device=distances.device)
    full[chosen] = distances
    best = full.reshape(count, ranks).argmin(1) + ranks * torch.arange(count, device=owner.device)
    place = torch.zeros_like(owner)
    place[chosen] = torch.arange(len(chosen), device=owner.device)
    index = full[best].isfinite().nonzero().squeeze(1)
    found = place[best[index]]
    return Nearest.of(exact).put(index, points[found], distances[found], 0)


def brought_near(rows: Rows, points: Tensor, rounds: int = _ROUNDS) -> tuple[Tensor, Tensor]:
    """Points (R, n) confirmed in the arithmetic of `rows`, and brought nearer along the boundary; their distances (R,)."""
    firm, hit = confirmed(rows, points)
    index = hit.nonzero().squeeze(1)
    if len(index) == 0:
        return firm, torch.full_like(rows.samples[:, 0], torch.inf)
    some = rows.select(index)
    near = first_crossing(some, descend(some, first_crossing(some, firm[index]), rounds))
    distances = torch.full_like(rows.samples[:, 0], torch.inf)
    return firm.index_copy(0, index, near), distances.index_copy(0, index, some.distance(near))
