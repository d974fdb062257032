"""Array aliases and the ground norm, shared by every room of the house."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    SparseMatrix: TypeAlias = csr_array[Any, tuple[int, int]]

Vector: TypeAlias = NDArray[np.float64]
"""One-dimensional float64 array."""

Matrix: TypeAlias = NDArray[np.float64]
"""Two-dimensional float64 array."""

BoolArray: TypeAlias = NDArray[np.bool_]

IntArray: TypeAlias = NDArray[np.int64]

ObjectArray: TypeAlias = NDArray[np.object_]
"""Array of Python integers: exact arithmetic without a size limit."""


class Norm(StrEnum):
    """The norm that measures how far a sample moves.

    Examples
    --------
    >>> Norm("linf").dual
    <Norm.L1: 'l1'>
    """

    L1 = "l1"
    L2 = "l2"
    LINF = "linf"

    @property
    def dual(self) -> Norm:
        """The norm applied to gradients; l1 and linf are dual to each other, l2 to itself."""
        return {Norm.L1: Norm.LINF, Norm.L2: Norm.L2, Norm.LINF: Norm.L1}[self]

    @property
    def order(self) -> float:
        """The exponent as `numpy.linalg.norm` takes it."""
        return {Norm.L1: 1.0, Norm.L2: 2.0, Norm.LINF: float("inf")}[self]
