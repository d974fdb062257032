"""What a search over boxes looks for: a point where all rows of some group are nonnegative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector


@dataclass(frozen=True, slots=True, eq=False)
class RowGroups:
    """Groups of rows ``g_r(y) = rows[r] . y + offsets[r]`` over the outputs; all rows of one group must hold.

    Attributes
    ----------
    rows, offsets
        Shapes (R, K) and (R,), each group in one piece. Where the true coefficients are no floats, the offsets are raised
        so that g is never below the true value on the region.
    group
        The group of each row, shape (R,), ascending.
    groups
        Number G of groups; each has a row.
    """

    rows: Matrix
    offsets: Vector
    group: IntArray
    groups: int

    @staticmethod
    def of(parts: Sequence[tuple[Matrix, Vector]]) -> RowGroups:
        """From the coefficients (r, K) and offsets (r,) of each group.

        Examples
        --------
        >>> both, alone = (np.eye(2), np.zeros(2)), (np.ones((1, 2)), np.ones(1))
        >>> groups = RowGroups.of([both, alone])
        >>> groups.least(np.array([[3.0, -1.0, 2.0]])).tolist()
        [[-1.0, 2.0]]
        """
        group = np.repeat(np.arange(len(parts)), [len(offsets) for _, offsets in parts])
        rows, offsets = np.concatenate([rows for rows, _ in parts]), np.concatenate([offsets for _, offsets in parts])
        return RowGroups(rows, offsets, group, len(parts))

    @property
    def starts(self) -> IntArray:
        """The first row of each group."""
        return np.asarray(np.searchsorted(self.group, np.arange(self.groups)))

    def least(self, values: Matrix) -> Matrix:
        """The smallest row of each group, (N, G), from values (N, R) of the rows."""
        return np.asarray(np.minimum.reduceat(values, self.starts, axis=1))

    def any_row(self, flags: BoolArray) -> BoolArray:
        """Whether some row of each group is flagged, (B, G), from flags (B, R)."""
        return np.asarray(np.logical_or.reduceat(flags, self.starts, axis=1))
