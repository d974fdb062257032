"""Attack the disjuncts of a property: cheaply at first, harder when a search has not ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.attack.ascent import Effort, ascend
from wdaverify.domain import Box
from wdaverify.ir.compiled import AffineStep

if TYPE_CHECKING:
    from wdaverify._types import Matrix
    from wdaverify.ir.compiled import CompiledNetwork
    from wdaverify.property.case import Case

FEW_INPUTS = 10
"""Up to so many inputs the box is sampled densely, and split later on."""

_CANDIDATES = 16
"""Attack points of a disjunct that are confirmed exactly."""

_THOROUGH_WORK = 1e7
"""Weights times points of a step of the thorough attack."""

_MOST_POINTS, _LEAST_POINTS = 6000, 64


def quick_attack(case: Case, *, seed: int) -> bool:
    """Try the best of random points after a few steps; true if one is confirmed."""
    if case.inner is None:
        return False
    effort = Effort(samples=3000, steps=25) if case.network.inputs <= FEW_INPUTS else Effort()
    return any(case.accept(x) for x in _points(case, effort, seed)[:_CANDIDATES])


def thorough_attack(case: Case, *, seed: int, scale: int) -> Matrix:
    """Many walks of small steps; candidates are confirmed, and all end points returned, the best first."""
    if case.inner is None:
        return np.zeros((0, case.network.inputs))
    count = int(np.clip(scale * _THOROUGH_WORK / _weights(case.network.compiled), _LEAST_POINTS, _MOST_POINTS))
    points = _points(case, Effort(samples=count, starts=count, rate=0.25, decay=0.95), seed)
    any(case.accept(x) for x in points[:_CANDIDATES])
    return points


def distinct(points: Matrix, widths: Matrix, *, apart: float, most: int) -> list[int]:
    """The first points (by number) that differ by more than `apart` widths in some coordinate."""
    chosen: list[int] = []
    scale = np.where(widths > 0, widths, 1.0)
    for k, point in enumerate(points):
        if all((np.abs(point - points[j]) > apart * scale).any() for j in chosen):
            chosen.append(k)
            if len(chosen) == most:
                break
    return chosen


def _points(case: Case, effort: Effort, seed: int) -> Matrix:
    """Candidates of a case with a box."""
    assert case.inner is not None
    if not len(case.rows):
        return np.array([case.inner[0]])
    return ascend(case.network.compiled, case.rows, case.offsets, Box(*case.inner), effort=effort, seed=seed)


def _weights(compiled: CompiledNetwork) -> int:
    """The number of weights, roughly the products of an evaluation."""
    sizes = (f.matrix.size for step in compiled.steps if isinstance(step, AffineStep) for f in step.factors)
    return 1 + sum(int(size) for size in sizes)
