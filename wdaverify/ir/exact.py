"""Evaluate a network in exact rational arithmetic.

All values of a node are kept as Python integers over one common denominator. With weights and inputs that are
floats the denominators are powers of two, and no gcd is ever taken.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import ObjectArray
    from wdaverify.ir.network import Network

Rationals: TypeAlias = "tuple[ObjectArray, int]"
"""Integer numerators and their common positive denominator."""


def exact_trace(network: Network, point: Sequence[float | Fraction]) -> dict[str, Rationals]:
    """The exact value of every node at one point, as (numerators, denominator)."""
    values: dict[str, Rationals] = {}
    for name in network.order:
        op, sources = network.op(name), network.sources(name)
        if isinstance(op, Input):
            values[name] = exact_point(point)
        elif isinstance(op, Affine):
            values[name] = exact_affine(op, [values[s] for s in sources])
        else:
            numerator, denominator = values[sources[0]]
            values[name] = np.where(numerator > 0, numerator, 0).astype(object), denominator
    return values


def exact_point(point: Sequence[float | Fraction]) -> Rationals:
    """The coordinates of a point (n,) over their least common denominator.

    Examples
    --------
    >>> exact_point([0.5, Fraction(1, 3)])
    (array([3, 2], dtype=object), 6)
    """
    ratios = [v.as_integer_ratio() for v in point]
    denominator = math.lcm(*{q for _, q in ratios})
    return np.array([p * (denominator // q) for p, q in ratios], dtype=object), denominator


def exact_forward(network: Network, point: Sequence[float | Fraction]) -> tuple[Fraction, ...]:
    """The exact outputs at one point (n,).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input
    >>> double = Affine((csr_array(np.array([[2.0]])),), np.array([0.1]))
    >>> network = Network.from_nodes({"x": Node(Input(1)), "y": Node(double, ("x",))}, "y")
    >>> exact_forward(network, [0.5]) == (1 + Fraction(0.1),)
    True
    """
    numerators, denominator = exact_trace(network, point)[network.output]
    return tuple(Fraction(int(v), denominator) for v in numerators)


def exact_affine(op: Affine, sources: Sequence[Rationals]) -> Rationals:
    """``(sum_k N_k x_k / (q d_k) + b / q)`` over the common denominator ``q * lcm(d_k)``."""
    rational = op.rational
    common = int(np.lcm.reduce([d for _, d in sources], dtype=object)) if sources else 1
    total = rational.bias * common
    for matrix, (x, denominator) in zip(op.numerators, sources, strict=True):
        total = total + (matrix @ x[:, None])[:, 0] * (common // denominator)
    return total, rational.denominator * common
