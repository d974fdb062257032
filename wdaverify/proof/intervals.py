"""The bounds with which the judge begins: exact interval propagation, each end rounded outward to 32 bits.

Bounds of all neurons hold at once only if producer and judge agree on every end, because slopes that a proof leaves out
follow from them. Ends of 32 significant bits are float64 numbers, so that nothing is lost in an array.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify.ir.exact import exact_affine
from wdaverify.ir.ops import Affine, Input
from wdaverify.ir.rational import common_denominator
from wdaverify.proof.numbers import rounded32

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.ir.exact import Rationals
    from wdaverify.ir.network import Network
    from wdaverify.proof.area import Area


class Ends(NamedTuple):
    """Bounds of all pre-activations, shape (neurons,) each."""

    lower: Vector
    upper: Vector


def root_ends(network: Network, area: Area, known: Ends | None = None) -> Ends:
    """Interval bounds of every neuron on the area's box, as the judge has them at first, or after a refresh.

    Parameters
    ----------
    known
        What is certified already: intervals are cut with it as they pass through.

    Raises
    ------
    OverflowError
        If an end exceeds the range of float64.
    """
    ranges: dict[str, tuple[Rationals, Rationals]] = {}
    lower, upper = np.empty(network.compiled.neurons), np.empty(network.compiled.neurons)
    first = 0
    for name in network.order:
        op, sources = network.op(name), network.sources(name)
        if isinstance(op, Input):
            ranges[name] = _mid_and_radius(area.low, area.high)
        elif isinstance(op, Affine):
            ranges[name] = _affine(op, [ranges[s] for s in sources])
        else:
            (middle, q), (radius, _) = ranges[sources[0]]
            low = [rounded32(Fraction(m - r, q), up=False) for m, r in zip(middle, radius, strict=True)]
            high = [rounded32(Fraction(m + r, q), up=True) for m, r in zip(middle, radius, strict=True)]
            part = slice(first, first + op.size)
            if known is not None:
                low = [max(v, Fraction(float(k))) for v, k in zip(low, known.lower[part], strict=True)]
                high = [min(v, Fraction(float(k))) for v, k in zip(high, known.upper[part], strict=True)]
            lower[part], upper[part] = [float(v) for v in low], [float(v) for v in high]
            first += op.size
            zero = Fraction(0)
            ends = [(max(zero, a), max(zero, b)) for a, b in zip(low, high, strict=True)]
            ranges[name] = _mid_and_radius([a for a, _ in ends], [b for _, b in ends])
    return Ends(lower, upper)


def _mid_and_radius(low: object, high: object) -> tuple[Rationals, Rationals]:
    (a, b), q = common_denominator([list(low), list(high)])  # type: ignore[call-overload]
    return (a + b, 2 * q), (b - a, 2 * q)


def _affine(op: Affine, sources: list[tuple[Rationals, Rationals]]) -> tuple[Rationals, Rationals]:
    """``mid = W mid + b`` and ``radius = |W| radius`` over one denominator."""
    middle, common = exact_affine(op, [mid for mid, _ in sources])
    radius = np.zeros(op.size, dtype=object)
    for matrix, (_, (r, q)) in zip(op.magnitudes, sources, strict=True):
        radius = radius + (matrix @ r[:, None])[:, 0] * (common // (q * op.rational.denominator))
    return (middle, common), (radius, common)
