"""The set of inputs that exist, and the regions on which networks are bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import DomainError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from wdaverify._types import BoolArray, Norm, Vector


@dataclass(frozen=True, eq=False)
class Box:
    """A closed box ``lower <= x <= upper``; scalar ends hold for every coordinate, infinite ends are allowed.

    Examples
    --------
    >>> Box(0, 1).sized(3).upper.tolist()
    [1.0, 1.0, 1.0]

    Raises
    ------
    DomainError
        If an end is NaN, a lower end exceeds its upper end, or the two ends differ in shape.
    """

    lower: Vector
    upper: Vector

    def __init__(self, lower: ArrayLike, upper: ArrayLike) -> None:
        lo, hi = (np.array(end, dtype=np.float64) for end in (lower, upper))
        if lo.ndim > 1 or lo.shape != hi.shape:
            raise DomainError(f"domain ends have shapes {lo.shape} and {hi.shape}; give two numbers or two vectors of one length")
        if np.isnan(lo).any() or np.isnan(hi).any() or (lo == np.inf).any() or (hi == -np.inf).any():
            raise DomainError("a domain end is NaN or an infinity of the wrong sign")
        if (lo > hi).any():
            bad = int(np.flatnonzero(np.atleast_1d(lo > hi))[0])
            raise DomainError(
                f"empty domain: coordinate {bad} has lower end {np.atleast_1d(lo)[bad]} above upper end {np.atleast_1d(hi)[bad]}"
            )
        for end in (lo, hi):
            end.setflags(write=False)
        object.__setattr__(self, "lower", lo)
        object.__setattr__(self, "upper", hi)

    @staticmethod
    def whole_space() -> Box:
        """All of R^n, in any dimension."""
        return Box(-np.inf, np.inf)

    def sized(self, n: int) -> Box:
        """The same box with vector ends of length `n`.

        Raises
        ------
        DomainError
            If the box already has another number of coordinates.
        """
        if self.lower.ndim == 0:
            return Box(np.full(n, self.lower), np.full(n, self.upper))
        if len(self.lower) != n:
            raise DomainError(f"the domain has {len(self.lower)} coordinates, the network has {n} inputs")
        return self

    @property
    def bounded(self) -> bool:
        """Whether every end is finite."""
        return bool(np.isfinite(self.lower).all() and np.isfinite(self.upper).all())

    @property
    def unbounded_everywhere(self) -> bool:
        """Whether the box is all of R^n."""
        return bool(np.isinf(self.lower).all() and np.isinf(self.upper).all())

    def contains(self, points: Vector) -> BoolArray:
        """Which rows of `points` (..., n) lie in the box."""
        return np.asarray(((points >= self.lower) & (points <= self.upper)).all(axis=-1))

    def clip(self, points: Vector) -> Vector:
        """The nearest points of the box, coordinate by coordinate."""
        return np.clip(points, self.lower, self.upper)

    def __str__(self) -> str:
        if self.unbounded_everywhere:
            return "Rn"
        if self.lower.ndim == 0 or (np.ptp(self.lower) == 0 and np.ptp(self.upper) == 0):
            return f"[{self.lower.flat[0]:g}, {self.upper.flat[0]:g}]^n"
        return f"box in R^{len(self.lower)}"


@dataclass(frozen=True, eq=False)
class Regions:
    """A batch of regions ``{x: lower <= x <= upper, ||x - center|| <= radius}``, on which networks are bounded.

    Parameters
    ----------
    lower, upper
        Shape (B, n). They already contain the ball's own box, rounded outward.
    norm, center, radius
        The ball, ``center`` (B, n) and ``radius`` (B,); all ``None`` for plain boxes (and for linf balls, which are
        boxes).
    """

    lower: Vector
    upper: Vector
    norm: Norm | None = None
    center: Vector | None = None
    radius: Vector | None = None

    @staticmethod
    def of_box(box: Box, n: int) -> Regions:
        """The box itself as a batch of one."""
        sized = box.sized(n)
        return Regions(sized.lower[None], sized.upper[None])

    @staticmethod
    def balls(box: Box, centers: Vector, radii: ArrayLike, norm: Norm) -> Regions:
        """Balls of the given radii about the rows of `centers` (B, n), each cut with `box`.

        The box of a ball is ``center +- radius`` rounded outward by one ulp, so that it contains the exact ball.
        """
        from wdaverify._types import Norm as AnyNorm

        centers = np.atleast_2d(np.asarray(centers, dtype=np.float64))
        sized = box.sized(centers.shape[1])
        radius = np.broadcast_to(np.asarray(radii, dtype=np.float64), (len(centers),)).copy()
        lower = np.maximum(sized.lower, np.nextafter(centers - radius[:, None], -np.inf))
        upper = np.minimum(sized.upper, np.nextafter(centers + radius[:, None], np.inf))
        if norm is AnyNorm.LINF:
            return Regions(lower, upper)
        return Regions(lower, upper, norm, centers, radius)

    @property
    def count(self) -> int:
        """Number B of regions."""
        return len(self.lower)

    def __getitem__(self, index: slice) -> Regions:
        """A sub-batch."""
        if self.norm is None or self.center is None or self.radius is None:
            return Regions(self.lower[index], self.upper[index])
        return Regions(self.lower[index], self.upper[index], self.norm, self.center[index], self.radius[index])
