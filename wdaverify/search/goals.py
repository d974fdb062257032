"""What a search over boxes looks for: a point where all rows of some group are nonnegative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector

_ROUNDING = 2.0**-50
"""Covers eight roundings to nearest of each term: of the coefficients, their products and the sum with the offset."""


@dataclass(frozen=True, slots=True, eq=False)
class Goals:
    """Groups of rows ``g_r(y) = rows[r] . y + offsets[r]`` over the outputs; all rows of one group must hold.

    Attributes
    ----------
    rows, offsets
        Shapes (R, K) and (R,). Where a row stands for one with exact coefficients, the offset is so much larger that the
        row lies above it at every output of the region.
    group
        The group of each row, shape (R,), ascending.
    groups
        Number G of groups.
    """

    rows: Matrix
    offsets: Vector
    group: IntArray
    groups: int

    @staticmethod
    def of(parts: Sequence[tuple[Matrix, Vector]], magnitude: Vector) -> Goals:
        """Goals above the given ones by what rounding their coefficients and evaluating them may cost.

        Parameters
        ----------
        parts
            For each group the nearest floats of its coefficients (r, K) and offsets (r,).
        magnitude
            Largest absolute values (K,) of the outputs.
        """
        rows = np.concatenate([rows for rows, _ in parts])
        offsets = np.concatenate([offsets for _, offsets in parts])
        with np.errstate(over="ignore", invalid="ignore"):
            slack = _ROUNDING * (np.abs(rows) @ magnitude + np.abs(offsets)) + TINY * (2.0**64 + magnitude.sum())
            raised = np.nextafter(offsets + slack, np.inf)
        group = np.repeat(np.arange(len(parts)), [len(offsets) for _, offsets in parts])
        return Goals(rows, raised, group, len(parts))

    def least(self, values: Matrix) -> Matrix:
        """The smallest row of each group, (N, G), from values (N, R) of the rows."""
        starts = np.searchsorted(self.group, np.arange(self.groups))
        return np.asarray(np.minimum.reduceat(values, starts, axis=1))

    def any_row(self, flags: BoolArray) -> BoolArray:
        """Whether some row of each group is flagged, (B, G), from flags (B, R)."""
        starts = np.searchsorted(self.group, np.arange(self.groups))
        return np.asarray(np.logical_or.reduceat(flags, starts, axis=1))
