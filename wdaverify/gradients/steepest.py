"""The steepest of many cells: remembered in float64, compared in rational arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify.gradients.norms import dual_norm_ends
from wdaverify.ir.exact_piece import exact_gradient

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.gradients.targets import Targets
    from wdaverify.ir.network import Network

_REMEMBERED = 24
"""Cells of every pair that are evaluated exactly, at most; of the others the float norm with its error counts."""


class _Candidate(NamedTuple):
    """A cell with a proved upper bound of its norm."""

    ceiling: float
    phases: BoolArray
    point: Vector


class SteepestCells:
    """For every pair of a form and a norm the cells that may have the largest norm.

    Attributes
    ----------
    lower, upper
        Ends (P,) of the largest norm over all cells offered, proved once `settle` was called; 0 before any.
    points
        Per pair the point of the cell that attains `lower`.
    """

    def __init__(self, network: Network, targets: Targets, coordinates: IntArray) -> None:
        self._network, self._targets, self._coordinates = network, targets, coordinates
        count = len(targets.form)
        self._floor: Vector = np.full(count, -np.inf)  # the largest norm is not below this
        self._candidates: list[list[_Candidate]] = [[] for _ in range(count)]
        self.lower: Vector = np.zeros(count)
        self.upper: Vector = np.zeros(count)
        self.points: list[Vector | None] = [None] * count

    def offer(self, norms: Matrix, errors: Matrix, phases: BoolArray, points: Matrix) -> None:
        """Take note of cells (B,) with these norms (B, P), each within its error of the exact one."""
        with np.errstate(invalid="ignore"):
            floors = np.nan_to_num(np.nextafter(norms - errors, -np.inf), nan=-np.inf)
            ceilings = np.nextafter(norms + errors, np.inf)
        ceilings = np.where(np.isnan(ceilings), np.inf, ceilings)
        self._floor = np.maximum(self._floor, floors.max(axis=0))
        cells, pairs = np.nonzero(ceilings >= self._floor)
        for b, p in zip(cells.tolist(), pairs.tolist(), strict=True):
            kept = self._candidates[p]
            kept.append(_Candidate(float(ceilings[b, p]), phases[b], points[b]))
            if len(kept) > 2 * _REMEMBERED:
                self._forget(p)

    def _forget(self, pair: int) -> None:
        """Keep the most promising cells; what is left out and may still be largest counts with its float norm."""
        kept = sorted(self._candidates[pair], key=lambda candidate: -candidate.ceiling)
        kept = [candidate for candidate in kept if candidate.ceiling >= self._floor[pair]]
        if len(kept) > _REMEMBERED:
            self.upper[pair] = max(self.upper[pair], kept[_REMEMBERED].ceiling)
        self._candidates[pair] = kept[:_REMEMBERED]

    def settle(self) -> None:
        """Evaluate the cells remembered exactly, the most promising first, until no other can be steeper."""
        gradients: dict[tuple[bytes, int], tuple[list[int], int]] = {}
        for pair, (form, norm) in enumerate(zip(self._targets.form.tolist(), self._targets.norms, strict=True)):
            self._forget(pair)
            for candidate in self._candidates[pair]:
                if candidate.ceiling <= self.lower[pair] and self.points[pair] is not None:
                    break
                key = candidate.phases.tobytes(), form
                if key not in gradients:
                    gradients[key] = self._gradient(candidate.phases, form)
                low, high = dual_norm_ends(*gradients[key], norm)
                self.upper[pair] = max(self.upper[pair], high)
                if low > self.lower[pair] or self.points[pair] is None:
                    self.lower[pair], self.points[pair] = low, candidate.point
            self._candidates[pair] = []

    def _gradient(self, phases: BoolArray, form: int) -> tuple[list[int], int]:
        numerators, denominator = exact_gradient(self._network, phases, self._targets.forms[form])
        return numerators[0, self._coordinates].tolist(), denominator
