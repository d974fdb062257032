"""What the enumeration of cells asks of a batch of polytopes, however they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.cells.pieces import Pieces


class Sides(NamedTuple):
    """On which sides of hyperplanes the regions have points; all of it is a guess.

    Attributes
    ----------
    plus, minus
        Whether some point has a clearly positive, a clearly negative value; shape (B, R).
    weights
        Of each region's walls, (B, R, K): what may prove that the missing side has no point, where just one is missing.
    """

    plus: BoolArray
    minus: BoolArray
    weights: Vector


class Regions(Protocol):
    """B polytopes inside the cube ``|u_j| <= 1``."""

    @property
    def walls(self) -> Pieces:
        """Functions that are nonnegative in each region, (B, K); those of fewer walls end with rows of zeros."""
        ...

    @property
    def neurons(self) -> IntArray:
        """Whose signed pre-activations they are, shape (B, K); -1 where there is none."""
        ...

    @property
    def centers(self) -> Matrix:
        """Points well inside, as far as is known, shape (B, f)."""
        ...

    def sides(self, functions: Pieces, tolerances: Matrix, wanted: BoolArray) -> tuple[Sides, Self]:
        """Which sides of functions (B, R) they meet further than tolerances (B, R) from 0, where it is wanted.

        Returned with the regions, which may have learned from it.
        """
        ...

    def split(self, functions: Pieces, neurons: IntArray, tolerances: Vector) -> tuple[Self, Self]:
        """The parts where one more function a region, (B, 1), is nonnegative, and where it is nonpositive."""
        ...

    def __getitem__(self, chosen: IntArray | BoolArray | slice) -> Self:
        """Some of them."""
        ...

    def joined(self, others: Sequence[Self]) -> Self:
        """With those of more batches behind them."""
        ...
