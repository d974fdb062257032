"""Points whose verdict is computed in float64: what an attack found, brought to the first crossing and judged.

Attacks step in float32. Here each of their points is projected onto ball and box in float64, pushed outward by as little as
its float64 margin asks for, brought back to the first crossing on the segment from its sample, and judged by `Victim.judge`.
What is not adversarial in that evaluation, or not within the ball, does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from wdaverify._types import Norm
from wdaverify.attack.ball import project
from wdaverify.attack.boundary import first_crossing
from wdaverify.losses import margins

if TYPE_CHECKING:
    from torch import Tensor

    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.attack.rows import Rows
    from wdaverify.attack.victim import Victim

_ROUGH_PUSHES = (0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
"""Relative extensions tried on points that were found, or are judged, in float32."""

_FINE_PUSHES = (0.0, *(10.0**e for e in range(-16, -5)))
"""Relative extensions tried on points whose margin falls short in the arithmetic that judges."""

_NORMAL = 2.0**-1000
"""Well above the least number of full precision."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Judged points of some samples.

    Attributes
    ----------
    points
        Shape (B, n), float64; NaN where there is none.
    distances
        Shape (B,), at least the exact distance and at most a few ulps above; ``inf`` where there is none.
    targets
        Shape (B,), the class that leads among the rivals at the point; -1 where there is none.
    """

    points: Matrix
    distances: Vector
    targets: IntArray


def confirmed(rows: Rows, points: Tensor, radius: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Points in the arithmetic of `rows`, each pushed outward as little as its margin asks for.

    Returns
    -------
    points, hit
        Shape (R, n), within ball and box, and whether their margin is at least 0, (R,).
    """
    points = rows.clip(points.to(rows.samples.dtype))
    best, hit = points, torch.zeros_like(rows.labels, dtype=torch.bool)
    for push in _ROUGH_PUSHES:
        trial = rows.on_ray(points, torch.full_like(rows.samples[:, 0], 1 + push))
        trial = trial if radius is None else project(rows, trial, radius)
        reached = (rows.margin(trial) >= 0) & ~hit & trial.isfinite().all(1)
        best, hit = torch.where(reached[:, None], trial, best), hit | reached
        if hit.all():
            break
    return best, hit


def settle(victim: Victim, rows: Rows, points: Tensor, radius: float | None = None) -> Settled:
    """Bring points (B, n) to the first crossing, and judge them.

    Parameters
    ----------
    rows
        The samples in float64, without rivals, evaluated by ``victim.exact``.
    radius
        Of the ball in which points must lie, if there is one.
    """
    result = Settled(np.full(rows.samples.shape, np.nan), np.full(rows.count, np.inf), np.full(rows.count, -1))
    reach = None if radius is None else torch.full_like(rows.samples[:, 0], radius)
    firm, hit = confirmed(rows, points, reach)
    index = hit.nonzero().squeeze(1)
    if len(index) == 0:
        return result
    some = rows.select(index)
    crossing = first_crossing(some, firm[index]).cpu().numpy()
    lower, upper = (np.broadcast_to(t.cpu().numpy(), crossing.shape) for t in (some.lower, some.upper))
    open_rows, labels, samples = index.cpu().numpy(), some.labels.cpu().numpy(), some.samples.cpu().numpy()
    pushes = _ROUGH_PUSHES if victim.single else _FINE_PUSHES
    trials = [samples + (1 + push) * (crossing - samples) for push in pushes] + [firm[index].cpu().numpy()]
    left = np.arange(len(open_rows))
    # Margins that no rounding explains are preferred; only then comes exact arithmetic, which takes long.
    for verdict, wish in [(verdict, trial) for verdict in (victim.surely_errs, victim.errs) for trial in trials]:
        trial = np.clip(wish[left], lower[left], upper[left])
        outputs = victim.judge(trial)
        distances = distances_up(trial, samples[left], rows.norm)
        good = (margins(outputs, labels[left]) >= 0) & (distances <= (np.inf if radius is None else radius))
        if good.any():
            good[good] = verdict(trial[good], labels[left[good]], outputs[good])
        place = open_rows[left[good]]
        result.points[place], result.distances[place] = trial[good], distances[good]
        result.targets[place] = leading(outputs[good], labels[left[good]])
        left = left[~good]
        if len(left) == 0:
            break
    return result


def leading(outputs: Matrix, labels: IntArray) -> IntArray:
    """The class of largest logit other than the label."""
    others = outputs.copy()
    others[np.arange(len(labels)), labels] = -np.inf
    return np.asarray(others.argmax(axis=1), dtype=np.int64)


def distances_up(points: Matrix, samples: Matrix, norm: Norm) -> Vector:
    """Float64 numbers (B,) that are at least the exact distances: the least such for linf, within n ulps for the others.

    Examples
    --------
    >>> distances_up(np.array([[0.75]]), np.array([[0.5]]), Norm.LINF).tolist()
    [0.25]
    """
    gaps = points - samples
    if norm is not Norm.LINF:
        # n - 1 additions, n products, a root, the scaling, and the rounding of the gaps: each at most half an ulp, relative.
        largest = np.abs(gaps).max(axis=1)
        scaled = gaps / np.where(largest > 0, largest, 1.0)[:, None]
        lengths = largest * np.linalg.norm(scaled, ord=norm.order, axis=1) * (1 + (points.shape[1] + 8) * 2.0**-52)
        # Subnormal numbers have no relative precision: two products have lost up to half of their unit each.
        return np.asarray(np.where((lengths > 0) & (lengths < _NORMAL), np.nextafter(lengths, np.inf), lengths))
    # The exact error of each difference (Knuth's TwoSum of point and -sample): round up where the gap fell short.
    taken = gaps - points
    error = (points - (gaps - taken)) + (-samples - taken)
    sizes = np.where(np.sign(gaps) * error > 0, np.nextafter(np.abs(gaps), np.inf), np.abs(gaps))
    return np.asarray(sizes.max(axis=1))
