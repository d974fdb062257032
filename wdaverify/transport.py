"""Wasserstein balls, transport plans, and distances with directed rounding.

The order-p Wasserstein distance (docs/theory.md, Setting) has ground cost ``||x - x'||^p`` between points of one label and
infinite cost between labels: labels never move. A plan lists where the mass of each nominal sample goes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.powers import power_bracket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Vector


@dataclass(frozen=True, slots=True)
class WassersteinBall:
    """All distributions within Wasserstein distance `radius` of the data.

    Parameters
    ----------
    radius
        Finite and nonnegative, in the unit of the inputs; 0 leaves the data alone.
    order
        The order p >= 1 of the distance, or ``inf``.
    norm
        The ground norm: ``linf``, ``l1`` or ``l2``.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Examples
    --------
    >>> print(WassersteinBall(0.05, order=2, norm="l1"))
    W_2 ball of radius 0.05 (l1)
    """

    radius: float
    order: float = 1.0
    norm: Norm = Norm.LINF

    def __post_init__(self) -> None:
        radius, order = _real(self.radius, "radius"), _real(self.order, "order")
        if not (math.isfinite(radius) and radius >= 0):
            raise InputError(f"radius {self.radius} is not a finite number >= 0")
        if math.isnan(order) or order < 1:
            raise InputError(f"order {self.order} is neither a number >= 1 nor inf")
        object.__setattr__(self, "radius", radius)
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "norm", parse_norm(self.norm))

    def __str__(self) -> str:
        return f"W_{self.order:g} ball of radius {self.radius:g} ({self.norm})"


@dataclass(frozen=True, slots=True, eq=False)
class GroundCost:
    """What moving mass from ``x`` to ``x'`` costs: ``||S (x' - x)||^order`` with a diagonal S.

    Parameters
    ----------
    norm, order
        As in `WassersteinBall`, with a finite order.
    scales
        The diagonal of S, positive and finite, shape (n,); ``None`` for ones.

    Raises
    ------
    InputError
        If the order is not a finite number >= 1, or a scale is not positive and finite.

    Examples
    --------
    >>> cost = GroundCost(Norm.L1, 2.0, np.array([1.0, 4.0]))
    >>> cost.lengths(np.array([[1.0, 0.5]])).tolist(), cost.values(np.array([[1.0, 0.5]])).tolist()
    ([3.0], [9.0])
    """

    norm: Norm
    order: float = 1.0
    scales: Vector | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.order) and self.order >= 1):
            raise InputError(f"order {self.order} of a ground cost is not a finite number >= 1")
        if self.scales is not None and not (np.isfinite(self.scales).all() and (self.scales > 0).all()):
            raise InputError("a weight of the ground cost is not a positive finite number")

    def lengths(self, steps: Vector) -> Vector:
        """``||S d||`` for steps d (..., n), in float64."""
        scaled = steps if self.scales is None else steps * self.scales
        return np.asarray(np.linalg.norm(scaled, ord=self.norm.order, axis=-1))

    def values(self, steps: Vector) -> Vector:
        """``||S d||^order`` for steps d (..., n), in float64."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(self.lengths(steps) ** self.order)

    def bracket(self, a: Sequence[float] | Vector, b: Sequence[float] | Vector) -> tuple[Fraction, Fraction | None]:
        """``||S (a - b)||^order`` between rationals, as `powers.power_bracket`: exact for l1 and linf of small integer orders.

        Examples
        --------
        >>> GroundCost(Norm.L2, 2.0).bracket([0.0, 0.0], [3.0, 4.0])
        (Fraction(25, 1), Fraction(25, 1))
        """
        ends: list[list[Fraction]] = [[_rational(v) for v in point] for point in (a, b)]
        if self.scales is not None:
            scales = [Fraction(s) for s in self.scales.tolist()]
            ends = [[v * s for v, s in zip(point, scales, strict=True)] for point in ends]
        length = exact_distance(ends[0], ends[1], self.norm)
        if length == 0:
            return Fraction(0), Fraction(0)
        return power_bracket(length, Fraction(self.order) / (2 if self.norm is Norm.L2 else 1))


def parse_norm(name: str) -> Norm:
    """The norm of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        return Norm(name)
    except ValueError:
        raise InputError(f"norm '{name}' is unknown; give {', '.join(Norm)}") from None


def _real(value: float, name: str) -> float:
    """The value as a float; the error names the parameter."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} {value!r} is not a number") from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Atom:
    """A piece of mass and where it goes.

    Attributes
    ----------
    source
        Index of the nominal sample that the mass comes from.
    label
        The sample's label; it does not move.
    mass
        Probability.
    cost
        ``||point - x_source||^p``; for order inf the distance itself.
    point
        Where the mass goes, shape (n,).
    """

    source: int
    label: int
    mass: float
    cost: float
    point: Vector


@dataclass(frozen=True, slots=True, eq=False)
class TransportPlan:
    """A distribution near the data, as atoms that remember their source."""

    atoms: tuple[Atom, ...]
    order: float = 1.0

    @property
    def masses(self) -> Vector:
        """Probability of each atom, shape (number of atoms,)."""
        return np.array([atom.mass for atom in self.atoms], dtype=np.float64)

    @property
    def points(self) -> Vector:
        """Points of the atoms, one per row."""
        return np.array([atom.point for atom in self.atoms], dtype=np.float64)

    def source_marginal(self, count: int) -> Vector:
        """Mass that leaves each of the `count` nominal samples, shape (count,)."""
        marginal = np.zeros(count)
        for atom in self.atoms:
            marginal[atom.source] += atom.mass
        return marginal

    @property
    def moved(self) -> tuple[Atom, ...]:
        """The atoms that leave their sample."""
        return tuple(atom for atom in self.atoms if atom.cost > 0)

    @property
    def cost(self) -> float:
        """The expected cost, the p-th power of the plan's transport distance; for order inf the largest distance."""
        if math.isinf(self.order):
            return max((atom.cost for atom in self.atoms if atom.mass > 0), default=0.0)
        return math.fsum(atom.mass * atom.cost for atom in self.atoms if atom.mass > 0)

    def records(self) -> list[dict[str, float]]:
        """One dictionary of plain scalars per atom, coordinates as ``x0``, ``x1`` and so on; ``pandas.DataFrame`` takes the list.

        Examples
        --------
        >>> TransportPlan((Atom(source=0, label=1, mass=1.0, cost=0.25, point=np.array([0.5])),)).records()
        [{'source': 0, 'label': 1, 'mass': 1.0, 'cost': 0.25, 'x0': 0.5}]
        """
        names = ("source", "label", "mass", "cost")
        return [
            {**{name: getattr(atom, name) for name in names}, **{f"x{k}": v for k, v in enumerate(atom.point.tolist())}}
            for atom in self.atoms
        ]

    def __str__(self) -> str:
        return f"{len(self.atoms)} atoms, {len(self.moved)} moved, cost {self.cost:.6g}"


def exact_distance(a: Sequence[float | Fraction] | Vector, b: Sequence[float | Fraction] | Vector, norm: Norm) -> Fraction:
    """The exact distance of two points of floats or rationals for l1 and linf; for l2 its **square**, which is rational.

    Examples
    --------
    >>> exact_distance([0.0, 0.0], [3.0, 4.0], Norm.L2), exact_distance([0.0, 0.0], [3.0, 4.0], Norm.L1)
    (Fraction(25, 1), Fraction(7, 1))
    """
    gaps = [abs(_rational(u) - _rational(v)) for u, v in zip(a, b, strict=True) if u != v]
    if norm is Norm.LINF:
        return max(gaps, default=Fraction(0))
    return sum((gap * gap if norm is Norm.L2 else gap for gap in gaps), Fraction(0))


def _rational(value: float | Fraction) -> Fraction:
    return value if isinstance(value, Fraction) else Fraction(float(value))


def distance_up(a: Sequence[float] | Vector, b: Sequence[float] | Vector, norm: Norm) -> float:
    """The smallest float64 that is at least the distance (l2: at most one ulp above that)."""
    exact = exact_distance(a, b, norm)
    return sqrt_up(exact) if norm is Norm.L2 else round_up(exact)


def round_up(value: Fraction) -> float:
    """The smallest float64 that is at least `value`; ``inf`` beyond the range.

    >>> round_up(Fraction(1, 10)) == 0.1, round_down(Fraction(1, 10)) < 0.1
    (True, True)
    """
    try:
        nearest = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.nextafter(math.inf, 0.0)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)


def round_down(value: Fraction) -> float:
    """The largest float64 that is at most `value`; ``-inf`` beyond the range."""
    # Adding 0 turns the -0.0 of an exact zero into 0.0.
    return -round_up(-value) + 0.0


def sqrt_up(value: Fraction) -> float:
    """A float64 at least the square root of `value`, checked by squaring exactly."""
    root = math.sqrt(round_up(value))
    while math.isfinite(root) and Fraction(root) ** 2 < value:
        root = math.nextafter(root, math.inf)
    return root
