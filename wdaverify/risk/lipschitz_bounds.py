r"""Certificates from Lipschitz constants: upper bounds of the worst-case risk without a search for the worst distribution.

Let ``Lambda_i`` be such that ``l(x, y_i) - l_i <= Lambda_i ||x - x_i||`` on the domain, for instance a Lipschitz constant of the
loss of label ``y_i`` there, or the smallest such number (sample-wise). With ``q = p / (p - 1)`` (docs/theory.md, "Certificates")

.. math:: R_p(\varepsilon) \le \bar E \ell + \varepsilon \Bigl(\sum_i w_i \Lambda_i^q\Bigr)^{1/q}, \qquad
          R_1 \le \bar E \ell + \varepsilon \max_i \Lambda_i, \qquad R_\infty \le \bar E \ell + \varepsilon \sum_i w_i \Lambda_i,

by Hoelder's inequality. Where the loss cannot rise by more than ``S_i`` (its maximum on the domain less ``l_i``), it saturates:

.. math:: R_p(\varepsilon) \le \bar E \ell
          + \max\Bigl\{\sum_i w_i \min(\Lambda_i t_i, S_i) : \sum_i w_i t_i^p \le \varepsilon^p\Bigr\},

a fractional knapsack for p = 1 (greedy by ``Lambda_i``), for other orders bounded by its dual at any multiplier. The zero-one
loss has no Lipschitz constant, but ``d_i >= -m_i / Lambda_i`` for the margin's, which `zero_one` turns into a risk; or the hinge,
which is never below it, may stand in. Everything is exact, or rounded up.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify.powers import power_bracket
from wdaverify.transport import round_down

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEARCH_STEPS = 200
"""Steps of the search for a good multiplier; every multiplier gives a valid bound."""

_LARGE = 600.0
"""Logarithms of powers that float64 still holds."""


def risk_growth(constants: Sequence[float], weights: Sequence[Fraction], *, radius: float, order: float) -> Fraction | None:
    """Bound by how much the worst-case risk exceeds the nominal one, from one constant per sample.

    Parameters
    ----------
    constants
        ``Lambda_i >= 0``, proved upper bounds; ``inf`` where nothing is known.
    weights
        Nonnegative, with sum 1; samples of weight 0 do not count.
    radius, order
        Of the Wasserstein ball.

    Returns
    -------
    Fraction or None
        Rounded up (exact for orders 1 and inf); ``None`` where no finite bound follows.

    Examples
    --------
    >>> half = Fraction(1, 2)
    >>> [risk_growth([1.0, 3.0], [half, half], radius=0.5, order=p) for p in (1.0, math.inf)]
    [Fraction(3, 2), Fraction(1, 1)]
    >>> float(risk_growth([1.0, 3.0], [half, half], radius=0.5, order=2.0)) == 0.5 * math.sqrt(5)
    True
    """
    if radius == 0:
        return Fraction(0)
    present = [(c, w) for c, w in zip(constants, weights, strict=True) if w > 0 and c > 0]
    if any(math.isinf(c) for c, _ in present):
        return None
    length, pairs = Fraction(radius), [(Fraction(c), w) for c, w in present]
    largest = max((c for c, _ in pairs), default=Fraction(0))
    if order == 1 or largest == 0:
        return length * largest
    if math.isinf(order):
        return length * sum((w * c for c, w in pairs), Fraction(0))
    conjugate = Fraction(order) / (Fraction(order) - 1)
    total = sum((w * _power_up(c / largest, conjugate) for c, w in pairs), Fraction(0))
    return length * largest * _power_up(total, 1 / conjugate)


def saturated_growth(
    constants: Sequence[float], rooms: Sequence[Fraction | None], weights: Sequence[Fraction], *, radius: float, order: float
) -> Fraction | None:
    """As `risk_growth`, where the loss of sample i cannot rise by more than ``rooms[i] >= 0`` (``None``: it may).

    Examples
    --------
    Half of the mass can pay for the rise of sample 1, by 1; the rest of the radius moves sample 0.

    >>> half = Fraction(1, 2)
    >>> saturated_growth([1.0, 4.0], [None, Fraction(1)], [half, half], radius=0.25, order=1.0)
    Fraction(5, 8)
    """
    if radius == 0:
        return Fraction(0)
    items = [(c, s, w) for c, s, w in zip(constants, rooms, weights, strict=True) if w > 0 and c > 0 and s != 0]
    if any(math.isinf(c) and s is None for c, s, _ in items):
        return None
    if math.isinf(order):
        rises = [(_least(Fraction(radius) * Fraction(c) if math.isfinite(c) else None, s), w) for c, s, w in items]
        return sum((w * (rise or 0) for rise, w in rises), Fraction(0))
    if order == 1:
        return _greedy(items, Fraction(radius))
    return _dual(items, radius, order)


def growth_price(constant: float, room: Fraction | None, multiplier: Fraction, order: float) -> Fraction | None:
    """``max_t [min(Lambda t, S) - lambda t^p]``, rounded up; ``None`` where nothing bounds it.

    Parameters
    ----------
    constant, room
        ``Lambda >= 0``, perhaps ``inf``, and ``S >= 0``, ``None`` for no bound.
    multiplier
        ``lambda >= 0``.
    order
        p, finite.

    Examples
    --------
    >>> growth_price(2.0, None, Fraction(1), 2.0), growth_price(2.0, Fraction(3), Fraction(1), 1.0)
    (Fraction(1, 1), Fraction(3, 2))
    """
    if constant == 0 or room == 0:
        return Fraction(0)
    if math.isinf(constant) or multiplier == 0:
        return room
    steepness = Fraction(constant)
    if order > 1:
        return _price_up(steepness, room, multiplier, Fraction(order))
    if steepness <= multiplier:
        return Fraction(0)
    return None if room is None else room * (1 - multiplier / steepness)


def distance_floor(margin: Fraction, constant: float) -> float:
    """``d >= -m / Lambda``, rounded down: how far a sample is at least from the nearest error.

    Parameters
    ----------
    margin
        ``m(x_i, y_i)``; a sample with ``m >= 0`` errs where it is.
    constant
        ``Lambda_i >= 0`` of the margin on the domain; with 0 the margin never changes.

    Examples
    --------
    >>> distance_floor(Fraction(-1), 4.0), distance_floor(Fraction(-1), 0.0), distance_floor(Fraction(0), 0.0)
    (0.25, inf, 0.0)
    """
    if margin >= 0:
        return 0.0
    if constant == 0:
        return math.inf
    return 0.0 if math.isinf(constant) else max(0.0, round_down(-margin / Fraction(constant)))


def mean_hinge(margins: Sequence[Fraction], weights: Sequence[Fraction]) -> Fraction:
    """``sum_i w_i max(0, 1 + m_i)``, never below the nominal zero-one risk."""
    return sum((w * max(Fraction(0), 1 + m) for m, w in zip(margins, weights, strict=True)), Fraction(0))


def _greedy(items: list[tuple[float, Fraction | None, Fraction]], budget: Fraction) -> Fraction:
    """Order 1: the steepest samples first, each until it saturates. A constant ``inf`` saturates at once, for nothing."""
    gain = Fraction(0)
    for constant, room, weight in sorted(items, key=lambda item: -item[0]):
        if math.isinf(constant):
            assert room is not None
            gain += weight * room
            continue
        cost = None if room is None else weight * room / Fraction(constant)
        if cost is None or cost >= budget:
            return gain + budget * Fraction(constant)
        assert room is not None
        gain, budget = gain + weight * room, budget - cost
    return gain


def _dual(items: list[tuple[float, Fraction | None, Fraction]], radius: float, order: float) -> Fraction:
    """Order p in (1, inf): ``lambda eps^p + sum_i w_i max_t [min(Lambda_i t, S_i) - lambda t^p]`` at a good lambda."""
    steep = [(c, s, w) for c, s, w in items if math.isfinite(c)]
    sure = sum((w * s for c, s, w in items if math.isinf(c) and s is not None), Fraction(0))
    if not steep:
        return sure
    # lambda in units of (largest constant) / radius^(p - 1), t in units of the radius: lengths and rates of size 1
    scale, length = Fraction(max(c for c, _, _ in steep)), Fraction(radius)
    unit = scale * length
    scaled = [(Fraction(c) / scale, None if s is None else s / unit, w) for c, s, w in steep]
    rates = [(float(c), math.inf if s is None else _float(s), float(w)) for c, s, w in scaled]
    low, high = -40.0, 40.0
    for _ in range(_SEARCH_STEPS):
        third = (high - low) / 3.0
        a, b = (_rough_dual(rates, math.exp(v), order) for v in (low + third, high - third))
        low, high = (low, high - third) if a <= b else (low + third, high)
    multiplier = Fraction(math.exp(0.5 * (low + high)))
    prices = [_price_up(c, s, multiplier, Fraction(order)) for c, s, _ in scaled]
    gain = multiplier + sum((w * (price or 0) for price, (_, _, w) in zip(prices, scaled, strict=True)), Fraction(0))
    plain = risk_growth([c for c, _, _ in steep], [w for _, _, w in steep], radius=radius, order=order)
    assert plain is not None
    return sure + (plain if None in prices else min(unit * gain, plain))


def _rough_dual(rates: list[tuple[float, float, float]], multiplier: float, order: float) -> float:
    """The dual in float64, to compare multipliers."""
    total = multiplier
    for constant, room, weight in rates:
        ratio = constant / (multiplier * order)
        free = math.inf if ratio > 1 and order - 1 < math.log(ratio) / _LARGE else ratio ** (1.0 / (order - 1.0))
        best = min(free, room / constant if constant > 0 else math.inf)
        if best > math.exp(_LARGE / order):
            return math.inf
        total += weight * (constant * best - multiplier * best**order)
    return total


def _price_up(constant: Fraction, room: Fraction | None, multiplier: Fraction, order: Fraction) -> Fraction | None:
    """``max_t [min(c t, S) - lambda t^p]``, rounded up; ``None`` where that is beyond the range of powers.

    Free, it is at ``t* = (c / (lambda p))^(1/(p-1))`` and has the value ``c t* (1 - 1/p)``; saturation at ``S / c <= t*`` leaves
    ``S - lambda (S / c)^p``.
    """
    low, high = power_bracket(constant / (multiplier * order), 1 / (order - 1))
    if room is not None and room <= constant * low:
        return room - multiplier * power_bracket(room / constant, order)[0]
    free = None if high is None else constant * high * (1 - 1 / order)
    return _least(free, room)


def _power_up(base: Fraction, exponent: Fraction) -> Fraction:
    """``base ** exponent`` of a base in (0, 1], rounded up."""
    high = power_bracket(base, exponent)[1]
    assert high is not None
    return min(high, Fraction(1))


def _least(a: Fraction | None, b: Fraction | None) -> Fraction | None:
    """The smaller of two bounds, of which ``None`` is none."""
    return min((v for v in (a, b) if v is not None), default=None)


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
