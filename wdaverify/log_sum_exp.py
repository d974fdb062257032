r"""The cross-entropy loss, bracketed in rational numbers.

With ``D_j = max_k f_k - f_j >= 0``, all exact, and ``S`` the sum of ``exp(-D_j)`` over all classes but one of the largest,

.. math:: ce(f, y) = \log \sum_j e^{f_j - f_y} = D_y + \log(1 + S), \qquad 0 \le S \le K - 1.

Logits of any size do no harm, because only differences enter an exponential. Those and the logarithm are computed in decimal
arithmetic of 40 digits or more, whose `exp` and `ln` are correctly rounded, and widened by a bound of the error.
"""

from __future__ import annotations

import decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray, Matrix, Vector

_DIGITS = 40
_RELATIVE = Fraction(1, 10**36)
"""Ten thousand units in the last digit: far more than the roundings of a sum of thousands of terms add up to."""

_FARTHEST = 5000
"""Terms below ``exp(-5000)`` are bracketed by 0 and `_TAIL`."""

_TAIL = Fraction(1, 10**2171)
"""Above ``exp(-5000)``, which is about ``3.4e-2172``."""

_SMALL = decimal.Decimal("1e-20")
"""Below it ``v - v^2 / 2 <= log(1 + v) <= v - v^2 / 2 + v^3 / 3`` is sharper than digits of ``1 + v`` are."""


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
    >>> float(low), high - low < Fraction(1, 10**35)
    (0.6931471805599453, True)
    """
    leader = max(range(len(logits)), key=lambda j: (logits[j], -j))
    context = _context(_DIGITS + 8)
    total, far = decimal.Decimal(0), 0
    for j, value in enumerate(logits):
        gap = logits[leader] - value
        if gap > _FARTHEST:
            far += 1
        elif j != leader:
            # the gap is at most 5000: with 8 further digits its rounding moves the power by less than 10^-43 of it
            quotient = context.divide(decimal.Decimal(gap.numerator), decimal.Decimal(gap.denominator))
            # `-quotient` would be rounded to the digits of the surrounding context
            total = context.add(total, context.exp(quotient.copy_negate()))
    low, high = _log_of_one_plus(total)
    base = logits[leader] - logits[label]
    return base + low * (1 - _RELATIVE), base + high * (1 + _RELATIVE) + far * _TAIL


def _log_of_one_plus(value: decimal.Decimal) -> tuple[Fraction, Fraction]:
    """``log(1 + value)`` for a value >= 0, up to a relative error far below `_RELATIVE`."""
    if value <= _SMALL:
        exact = Fraction(value)
        low = exact - exact * exact / 2
        return low, low + exact**3 / 3
    # 1 + v is rounded by a relative 10^-79, which moves the logarithm (about v or more) by a relative 10^-59 at most
    context = _context(2 * _DIGITS)
    logarithm = Fraction(context.ln(context.add(value, decimal.Decimal(1))))
    return logarithm, logarithm


def _context(digits: int) -> decimal.Context:
    return decimal.Context(prec=digits, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[decimal.InvalidOperation])
