"""Numbers: what a certificate may write, and the only roundings that the judge ever makes.

Every value is an exact rational. Roundings are R32 (outward, 32 significant bits), D14 (a slope, harmless in any
direction), roots for powers of distances (outward, 2^-96) and the enclosure of exp (outward, 256 fractional bits).
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from math import isqrt
from typing import Any, TypeAlias


class Rejected(Exception):  # noqa: N818
    """The certificate does not prove what it claims: exit status 1."""


class Unreadable(Exception):  # noqa: N818
    """A file cannot be read, or its model is not supported: exit status 2."""


class Limits:
    """What the judge spends at most; the command line may lower some of them."""

    max_bits = 1 << 20
    line = 4 << 20
    certificate = 256 << 20
    stream = 16 << 30
    ratio, slack = 200, 64 << 20
    nesting = 12
    depth = 10_000
    inline = 10_000
    variables = elements = 4_000_000
    terms = 30_000_000  # coefficients of a program, at about 200 bytes
    file = 4 << 30
    samples = 1_000_000  # of which a certificate of the size above can say something
    property = 64 << 20


_FRACTION = re.compile(r"(-?[0-9]{1,2000})(?:/([0-9]{1,2000}))?", re.ASCII)
_HEX = re.compile(r"(-?)0x([0-9a-f]+)(?:\.([0-9a-f]*))?p([+-]?[0-9]{1,5})", re.ASCII | re.IGNORECASE)
_EXPONENT = 16384


def number(value: Any, what: str = "number") -> Fraction:
    """A JSON value as the rational that it denotes: integer, ``p/q`` or C hex float; never a JSON float.

    >>> number("0x1.8p-1") == number("3/4")
    True
    """
    if type(value) is int and abs(value) < 10**18:
        return Fraction(value)
    if type(value) is str:
        match = _FRACTION.fullmatch(value)
        if match:
            p, q = match.groups()
            # Blocks of digits stay below the length from which Python refuses to convert.
            denominator = int(q) if q else 1
            if denominator > 0:
                return Fraction(int(p), denominator)
        match = _HEX.fullmatch(value)
        if match:
            sign, whole, part, power = match.groups()
            digits = whole + (part or "")
            exponent = int(power)
            if len(digits) <= 64 and abs(exponent) <= _EXPONENT:
                size = Fraction(int(digits, 16), 16 ** len(part or "")) * power_of_two(exponent)
                return -size if sign else size
    raise Rejected(f"{what}: {shown(value)} is no number of the format")


def whole(value: Any, what: str, below: int | None = None) -> int:
    """A JSON integer from 0 (to `below`, exclusive)."""
    if type(value) is not int or value < 0 or (below is not None and value >= below):
        raise Rejected(f"{what}: {shown(value)} is no whole number" + ("" if below is None else f" from 0 to {below - 1}"))
    return value


def end_number(value: Any, what: str) -> Fraction | None:
    """A number, or None for ``"inf"``."""
    return None if value == "inf" else number(value, what)


def packed(value: Any, what: str, below: int) -> dict[int, Fraction]:
    """A packed list ``[q, [id, v, id, v, ...]]`` with strictly ascending ids below `below`."""
    if type(value) is not list or len(value) != 2 or type(value[0]) is not int or type(value[1]) is not list:
        raise Rejected(f"{what}: no packed list [q, [id, v, ...]]")
    q, flat = value
    if abs(q) > _EXPONENT or len(flat) % 2:
        raise Rejected(f"{what}: exponent {q} beyond {_EXPONENT}, or an id without value")
    result: dict[int, Fraction] = {}
    last = -1
    scale = power_of_two(-q)
    for k in range(0, len(flat), 2):
        name, v = flat[k], flat[k + 1]
        if type(name) is not int or not last < name < below:
            raise Rejected(f"{what}: id {shown(name)} is not between {last + 1} and {below - 1}")
        last = name
        if type(v) is int and abs(v) < 1 << 64:
            result[name] = Fraction(v * scale.numerator, scale.denominator)
        else:
            result[name] = number(v, what)
    return result


def shown(value: Any) -> str:
    """A value in a message: printable and short."""
    text = repr(value)[:80] if isinstance(value, str | int | float | bool | type(None)) else type(value).__name__
    return "".join(c if c.isprintable() else "?" for c in text)


def power_of_two(e: int) -> Fraction:
    """``2^e``."""
    return Fraction(1 << e) if e >= 0 else Fraction(1, 1 << -e)


def bounded(bits: int, what: str) -> None:
    """Refuse integers beyond the limit."""
    if bits > Limits.max_bits:
        raise Rejected(f"limit: {what} needs {bits} bits, more than {Limits.max_bits}")


def r32(x: Fraction, *, up: bool) -> Fraction:
    """R32: the nearest number with 32 significant bits above (or below) x.

    >>> r32(Fraction(1, 3), up=True) > Fraction(1, 3) > r32(Fraction(1, 3), up=False)
    True
    """
    return r32_quotient(x.numerator, x.denominator, up=up)


def r32_quotient(p: int, q: int, *, up: bool) -> Fraction:
    """R32 of p / q, which need not be in lowest terms."""
    if p.bit_length() <= 32 and q & (q - 1) == 0:
        return Fraction(p, q)
    shift = p.bit_length() - q.bit_length() - 32
    while True:
        a, b = (abs(p), q << shift) if shift >= 0 else (abs(p) << -shift, q)
        units, rest = divmod(a, b)
        if units.bit_length() <= 32:
            break
        shift += 1
    if rest and (p > 0) == up:
        units += 1
    units = units if p > 0 else -units
    return Fraction(units << shift) if shift >= 0 else Fraction(units, 1 << -shift)


def iroot(n: int, q: int) -> int:
    """The largest r with ``r^q <= n``, by Newton's iteration from above."""
    if n < 2 or q == 1:
        return n
    if q == 2:
        return isqrt(n)
    r = 1 << -(-n.bit_length() // q)
    while True:
        s = ((q - 1) * r + n // r ** (q - 1)) // q
        if s >= r:
            return r
        r = s


def power(a: Fraction, p: Fraction, *, up: bool) -> Fraction:
    """``a^p`` for a >= 0 rounded to 2^-96: down, or up unless exact (pow_down, pow_up); a itself for p = 1.

    >>> power(Fraction(9, 4), Fraction(1, 2), up=True)
    Fraction(3, 2)
    """
    if p == 1:
        return a
    big, q = p.numerator, p.denominator
    if not (1 <= big <= 1024 and q <= 64):
        raise Rejected(f"exponent {p}: numerators to 1024 and denominators to 64 can be proved")
    bounded(big * max(a.numerator.bit_length(), a.denominator.bit_length()) + 96 * q, "a power")
    n = a.numerator**big << (96 * q)
    floor, rest = divmod(n, a.denominator**big)
    root = iroot(floor, q)
    exact = rest == 0 and root**q == floor
    return Fraction(root + (1 if up and not exact else 0), 1 << 96)


_ONE = 1 << 256


def exp(q: Fraction) -> tuple[Fraction, Fraction]:
    """A lower and an upper bound of ``e^q``, |q| <= 4096, in fixed point with 256 fractional bits, rounded outward.

    Halve until ``|t| <= 2^-8``; 32 terms of Taylor's series; remainder at most ``2 |t|^33 / 33!``; square back.

    >>> [float(v) for v in exp(Fraction(1))]
    [2.718281828459045, 2.718281828459045]
    """
    if abs(q) > 4096:
        raise Rejected("limit: exp of a number beyond 4096")
    halvings = 0
    while abs(q) > Fraction(1 << halvings, 256):
        halvings += 1
    scaled = q * _ONE / (1 << halvings)
    # Terms have absolute values: bounds of |t|^k / k!, added with the sign of t^k.
    low, high = abs(scaled).numerator // scaled.denominator, -(-abs(scaled).numerator // scaled.denominator)
    terms, below, above = (_ONE, _ONE), _ONE, _ONE
    for k in range(1, 33):
        terms = terms[0] * low // (k * _ONE), -(-terms[1] * high // (k * _ONE))
        if q < 0 and k % 2:
            below, above = below - terms[1], above - terms[0]
        else:
            below, above = below + terms[0], above + terms[1]
    rest = 2 * terms[1] * high // (33 * _ONE) + 1
    below, above = below - rest, above + rest
    for _ in range(halvings):
        below, above = below * below // _ONE, -(-above * above // _ONE)
    return Fraction(below, _ONE), Fraction(above, _ONE)


Real: TypeAlias = "Fraction | float"
"""A finite end exactly; an infinite one stays a float."""


def real(value: Any, what: str) -> Real:
    """A float64 of the report as the rational that it is, or an infinity."""
    if value in ("inf", "-inf"):
        return float(value)
    if type(value) not in (int, float) or not math.isfinite(value):
        raise Rejected(f"{what}: {shown(value)} is no number")
    return Fraction(value)
