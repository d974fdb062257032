"""What a search decides or maximises, in float64 numbers that err on the safe side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """The largest ``min_r g_r(x)``, ``g = rows f(x) + offsets``, over a region's points with ``side_rows x + side_offsets >= 0``.

    A minimum of rows is one question, a maximum of rows is several: that is the only place where "and" and "or" differ.

    Attributes
    ----------
    rows, offsets
        Shapes (R, K) and (R,), R >= 1. Where the true coefficients are no floats, the offsets are raised so that g is never
        below the true value on the region.
    side_rows, side_offsets
        Shapes (S, n) and (S,), raised likewise: no point that satisfies the true rows violates these.
    """

    rows: Matrix
    offsets: Vector
    side_rows: Matrix
    side_offsets: Vector

    @staticmethod
    def of(rows: Matrix, *, inputs: int, offsets: Vector | None = None) -> Question:
        """A question without rows about the n = `inputs` inputs.

        Examples
        --------
        >>> Question.of(np.array([[1.0, -1.0]]), inputs=3).offsets.tolist()
        [0.0]
        """
        return Question(rows, np.zeros(len(rows)) if offsets is None else offsets, np.zeros((0, inputs)), np.zeros(0))
