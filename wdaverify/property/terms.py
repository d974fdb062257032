"""Linear terms and their arithmetic, exact and within limits.

A property file can be small and yet describe numbers or formulas that no machine can hold (``1e999999999``, nested
products, unions of products). Every operation here is paid from a `Budget`, so that reading ends in bounded time.
"""

from __future__ import annotations

import re
import sys
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify._errors import PropertyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_LITERAL = 2_000
"""Characters of a number: the exact decimal expansion of any float64 is shorter."""

MAX_EXPONENT = 1_000
"""Decimal exponents of numbers; those of float64 end at 308 and -324."""

MAX_BITS = 1 << 14
"""Size of numerators and denominators that arithmetic may reach: twice what one literal can have."""

MAX_STEPS = 20_000_000
"""Steps of arithmetic and of forming the normal form: some seconds of work and some hundred MiB."""

_OPERATION = 4
"""Steps of one operation on a coefficient, which takes longer than copying a reference."""

ONE, ZERO = Fraction(1), Fraction(0)

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE](?P<exponent>[+-]?[0-9]+))?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity|oo)", re.IGNORECASE)
_FLOAT_MAX = int(sys.float_info.max)


class Budget:
    """What is left of the work that one file may cause."""

    __slots__ = ("left",)

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Pay for some steps before they are taken.

        Raises
        ------
        PropertyError
            If they are more than what is left.
        """
        self.left -= steps
        if self.left < 0:
            raise PropertyError(f"too large: it needs more than {MAX_STEPS:,} steps to be brought into normal form; split it")


class Term:
    """The linear term ``sum_v c_v v + constant``: input i has the key i, output j the key ``-1 - j``, no c_v is zero.

    Terms belong to one expression each; operations may use up their operands.
    """

    __slots__ = ("coefficients", "constant")

    def __init__(self, coefficients: dict[int, Fraction], constant: Fraction) -> None:
        self.coefficients = coefficients
        self.constant = constant


def variable(key: int) -> Term:
    """The variable itself."""
    return Term({key: ONE}, ZERO)


def name_of(key: int) -> str:
    """The variable's name in the file.

    >>> name_of(3), name_of(-1)
    ('X_3', 'Y_0')
    """
    return f"X_{key}" if key >= 0 else f"Y_{-1 - key}"


def parse_literal(token: str) -> Fraction | None:
    """The exact value of a number, or None if the token is not one.

    Raises
    ------
    PropertyError
        If the number is NaN or infinite, too long, or its magnitude lies beyond float64.

    Examples
    --------
    >>> parse_literal("-2.5e-1"), parse_literal("X_0")
    (Fraction(-1, 4), None)
    """
    match = _NUMBER.fullmatch(token)
    if match is None:
        if _NOT_FINITE.fullmatch(token):
            raise PropertyError(f"'{token}' is not a finite number")
        return None
    exponent = (match["exponent"] or "0").lstrip("+-").lstrip("0")
    if len(token) > MAX_LITERAL or len(exponent) > 4 or int(exponent or 0) > MAX_EXPONENT:
        raise PropertyError(
            f"the number {shown(token)} is too long or its exponent too large: "
            f"at most {MAX_LITERAL} characters and exponents of {MAX_EXPONENT}"
        )
    return checked_range(Fraction(token))


def shown(token: str) -> str:
    """A token as messages quote it: printable, on one line, not long."""
    return ascii(token if len(token) <= 40 else f"{token[:37]}...")


def checked_range(value: Fraction) -> Fraction:
    """The value, if its magnitude does not exceed the largest float64.

    Raises
    ------
    PropertyError
        If it does.
    """
    # 2^(bits of numerator - bits of denominator - 1) <= |value|, so that most values need no comparison.
    if value.numerator.bit_length() - value.denominator.bit_length() >= 1023 and abs(value) > _FLOAT_MAX:
        raise PropertyError("a number lies beyond the range of float64 (magnitude above 1.8e308)")
    return value


def add(terms: Sequence[Term], budget: Budget) -> Term:
    """The sum; the longest operand is used up, so that nested sums take linear time."""
    total = max(terms, key=lambda term: len(term.coefficients))
    coefficients = total.coefficients
    for term in terms:
        if term is total:
            continue
        budget.spend(_OPERATION * (1 + len(term.coefficients)))
        for key, value in term.coefficients.items():
            result = _checked(coefficients[key] + value, budget) if key in coefficients else value
            if result:
                coefficients[key] = result
            else:
                del coefficients[key]
        total.constant = _checked(total.constant + term.constant, budget)
    return total


def subtract(terms: Sequence[Term], budget: Budget) -> Term:
    """The first operand minus the others; a single one is negated."""
    if len(terms) == 1:
        return _scaled(terms[0], Fraction(-1), budget)
    return add([terms[0], _scaled(add(terms[1:], budget), Fraction(-1), budget)], budget)


def multiply(terms: Sequence[Term], budget: Budget) -> Term:
    """The product, in which at most one operand has variables.

    Raises
    ------
    PropertyError
        If two operands have variables.
    """
    linear = [term for term in terms if term.coefficients]
    if len(linear) > 1:
        names = " and ".join(name_of(next(iter(term.coefficients))) for term in linear[:2])
        raise PropertyError(f"nonlinear term: a product of expressions with {names}; only linear terms are supported")
    base = linear[0] if linear else terms[0]
    result = base
    for term in terms:
        if term is not base:
            result = _scaled(result, term.constant, budget)
    return result


def divide(terms: Sequence[Term], budget: Budget) -> Term:
    """The first operand divided by constants.

    Raises
    ------
    PropertyError
        If a divisor has variables or is zero, or there is none.
    """
    if len(terms) < 2:
        raise PropertyError("'/' needs two operands")
    result = terms[0]
    for term in terms[1:]:
        if term.coefficients:
            raise PropertyError(f"nonlinear term: a division by an expression with {name_of(next(iter(term.coefficients)))}")
        if term.constant == 0:
            raise PropertyError("division by zero")
        result = _scaled(result, 1 / term.constant, budget)
    return result


def difference(left: Term, right: Term, budget: Budget) -> Term:
    """``left - right``, both operands kept."""
    budget.spend(_OPERATION * (1 + len(left.coefficients) + len(right.coefficients)))
    coefficients = dict(left.coefficients)
    for key, value in right.coefficients.items():
        result = _checked(coefficients[key] - value, budget) if key in coefficients else -value
        if result:
            coefficients[key] = result
        else:
            del coefficients[key]
    return Term(coefficients, _checked(left.constant - right.constant, budget))


ARITHMETIC: dict[str, Callable[[Sequence[Term], Budget], Term]] = {"+": add, "-": subtract, "*": multiply, "/": divide}
"""What can be done with terms, by the operator's symbol."""


def _scaled(term: Term, factor: Fraction, budget: Budget) -> Term:
    """The term times a constant."""
    if factor == 0:
        return Term({}, ZERO)
    budget.spend(_OPERATION * (1 + len(term.coefficients)))
    scaled = {key: _checked(value * factor, budget) for key, value in term.coefficients.items()}
    return Term(scaled, _checked(term.constant * factor, budget))


def _checked(value: Fraction, budget: Budget) -> Fraction:
    """The value, if it is not too large; large ones cost more."""
    bits = max(value.numerator.bit_length(), value.denominator.bit_length())
    if bits > MAX_BITS:
        raise PropertyError(f"arithmetic leads to numbers of more than {MAX_BITS} bits; write the rounded value instead")
    if bits > 256:
        budget.spend(bits >> 6)
    return value
