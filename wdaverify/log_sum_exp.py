r"""The cross-entropy loss, bracketed in rational numbers.

With ``D_j = max_k f_k - f_j >= 0``, all exact, and ``S`` the sum of ``exp(-D_j)`` over all classes but one of the largest,

.. math:: ce(f, y) = \log \sum_j e^{f_j - f_y} = D_y + \log(1 + S), \qquad 0 \le S \le K - 1.

Logits of any size do no harm, because only differences enter an exponential. Those and the logarithm are computed in decimal
arithmetic of 60 digits, whose `exp` and `ln` are correctly rounded, and widened by a bound of the error.
"""

from __future__ import annotations

import decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray, Matrix, Vector

_DIGITS = 60
_RELATIVE = Fraction(1, 10**56)
"""Ten thousand units in the last digit: far more than the few roundings of a term add up to."""

_FARTHEST = 5000
"""Terms below ``exp(-5000)`` are bracketed by 0 and that power."""

_SMALL = Fraction(1, 10**30)
"""Below it ``log(1 + S)`` lies within ``S^2`` of S, which is closer than digits of ``1 + S`` can tell."""


def cross_entropies(logits: Matrix, labels: IntArray) -> Vector:
    """The float64 losses (N,) of logits (N, K) for labels (N,).

    Examples
    --------
    >>> cross_entropies(np.array([[0.0, np.log(3.0)], [1e6, 0.0]]), np.array([0, 1])).round(12).tolist()
    [1.38629436112, 1000000.0]
    """
    rows = np.arange(len(labels))
    gaps = logits.max(axis=1, keepdims=True) - logits
    powers = np.exp(-gaps)
    powers[rows, logits.argmax(axis=1)] = 0.0
    return np.asarray(gaps[rows, labels] + np.log1p(powers.sum(axis=1)))


def cross_entropy_bracket(logits: Sequence[Fraction], label: int) -> tuple[Fraction, Fraction]:
    """Bracket the cross-entropy at exact logits (K,).

    Parameters
    ----------
    logits
        At least one, of any size.

    Returns
    -------
    low, high
        ``low <= ce <= high``, proved up to correct rounding of the decimal module. ``high - low`` is below ``10^-28 high``
        unless the loss is below ``exp(-2500)``; a single class has loss 0 exactly.

    Examples
    --------
    >>> low, high = cross_entropy_bracket([Fraction(0), Fraction(0)], 1)
    >>> float(low), high - low < Fraction(1, 10**50)
    (0.6931471805599453, True)
    """
    leader = max(range(len(logits)), key=lambda j: (logits[j], -j))
    low = high = Fraction(0)
    for j, value in enumerate(logits):
        if j != leader:
            least, most = _decaying(logits[leader] - value)
            low, high = low + least, high + most
    base = logits[leader] - logits[label]
    return base + _log_of_one_plus(low)[0], base + _log_of_one_plus(high)[1]


def _decaying(gap: Fraction) -> tuple[Fraction, Fraction]:
    """Bracket ``exp(-gap)`` for a gap >= 0."""
    if gap > _FARTHEST:
        return Fraction(0), _decaying(Fraction(_FARTHEST))[1]
    # the argument is at most 5000: with 8 further digits its rounding moves the power by less than its own rounding does
    context = _context(_DIGITS + 8)
    argument = context.divide(decimal.Decimal(gap.numerator), decimal.Decimal(gap.denominator))
    # `-argument` would round it to the digits of the surrounding context
    power = Fraction(context.exp(argument.copy_negate()))
    return power * (1 - _RELATIVE), min(power * (1 + _RELATIVE), Fraction(1))


def _log_of_one_plus(value: Fraction) -> tuple[Fraction, Fraction]:
    """Bracket ``log(1 + value)`` for a value >= 0: by ``v - v^2 / 2 <= log(1 + v) <= v`` where v is small."""
    if value <= _SMALL:
        return value - value * value / 2, value
    # 1 + v is rounded by a relative 10^-99, which moves the logarithm (at least v / (1 + v)) by a relative 10^-67 at most
    context = _context(_DIGITS + 40)
    total = 1 + value
    logarithm = Fraction(context.ln(context.divide(decimal.Decimal(total.numerator), decimal.Decimal(total.denominator))))
    return logarithm * (1 - _RELATIVE), logarithm * (1 + _RELATIVE)


def _context(digits: int) -> decimal.Context:
    return decimal.Context(prec=digits, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[decimal.InvalidOperation])
