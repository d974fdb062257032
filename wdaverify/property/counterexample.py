"""Write a counterexample in the form that VNN-COMP tools exchange."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def format_counterexample(x: Sequence[Fraction | float], y: Sequence[Fraction | float]) -> str:
    """The pair as ``((X_0 v) ... (Y_0 v) ...)``, one variable a line.

    Floats are written so that reading them back gives the same float64. An input that is no float64 is written as the
    SMT-LIB quotient ``(/ p q)``: rounding it could leave the property. An output that is no float64 is rounded to the
    nearest, as the exchange format has no other notion of it.

    Raises
    ------
    ValueError
        If a number is NaN or infinite.

    Examples
    --------
    >>> print(format_counterexample([0.1, Fraction(-1, 3)], [Fraction(1, 3)]))
    ((X_0 0.1)
     (X_1 (/ -1 3))
     (Y_0 0.3333333333333333))
    """
    inputs = [f"(X_{k} {_exact(value)})" for k, value in enumerate(x)]
    outputs = [f"(Y_{k} {_rounded(value)})" for k, value in enumerate(y)]
    return "(" + "\n ".join([*inputs, *outputs]) + ")"


def _rounded(value: Fraction | float) -> str:
    """The nearest float64."""
    nearest = float(value)
    if not math.isfinite(nearest):
        raise ValueError(f"{nearest} cannot be part of a counterexample; all numbers must be finite")
    return repr(nearest)


def _exact(value: Fraction | float) -> str:
    """The float64, or the quotient if it is none."""
    text = _rounded(value)
    exact = Fraction(value)
    return text if Fraction(float(text)) == exact else f"(/ {exact.numerator} {exact.denominator})"
