"""The bound of `bounds.lagrangian` in rational arithmetic, for questions where a maximum is exactly 0.

Prices are first moved to a short dyadic grid, which changes nothing about validity and turns a solver's 0.9999999998 into
the 1 that was meant. For networks of a few thousand weights.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wdaverify._types import Vector
    from wdaverify.ir.network import Network

_GRID = 2**30

Rationals = list[Fraction]


def on_grid(values: Vector) -> Rationals:
    """The nearest multiples of 2^-30; what is no number counts as 0."""
    return [Fraction(round(v * _GRID), _GRID) if math.isfinite(v) else Fraction(0) for v in values.tolist()]


def exact_lagrangian(
    network: Network,
    seeds: Mapping[str, Sequence[Fraction]],
    prices: Mapping[int, Fraction],
    bounds: tuple[Vector, Vector],
    box: tuple[Vector, Vector],
) -> Fraction:
    """An upper bound of ``sum_v seeds[v] . value(v)`` over a box, exactly as the multipliers give it.

    Parameters
    ----------
    seeds
        Node name to coefficients.
    prices
        The multiplier pi of some neurons, by global number. Others pass their adjoint, or nothing where ``u <= 0``.
    bounds
        Of all pre-activations, (neurons,) each, finite.
    box
        Ends of the inputs, (n,) each, finite.

    Examples
    --------
    ``x -> relu(x) + relu(-x)`` on [-1, 1] with prices 1/2 and 1/2: ``1/2 + 1/2``.

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.ir.network import Node
    >>> from wdaverify.ir.ops import Relu
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, 1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> from wdaverify.ir.network import Network
    >>> half, ends, box = Fraction(1, 2), (-np.ones(2), np.ones(2)), (-np.ones(1), np.ones(1))
    >>> exact_lagrangian(Network.from_nodes(nodes, "y"), {"y": [Fraction(1)]}, {0: half, 1: half}, ends, box)
    Fraction(1, 1)
    """
    pending = {name: list(row) for name, row in seeds.items()}
    first = {step.slot: step.first for step in network.compiled.relus}
    total = Fraction(0)
    for slot in range(len(network.order) - 1, -1, -1):
        name = network.order[slot]
        row = pending.pop(name, None)
        if row is None:
            continue
        op = network.op(name)
        if isinstance(op, Input):
            total += sum((max(a * Fraction(lo), a * Fraction(hi)) for a, lo, hi in zip(row, *box, strict=True)), Fraction(0))
        elif isinstance(op, Affine):
            total += sum((a * Fraction(int(b), op.rational.denominator) for a, b in zip(row, op.rational.bias, strict=True)),
                         Fraction(0))  # fmt: skip
            for k, source in enumerate(network.sources(name)):
                _add(pending, source, _pulled(op, k, row))
        else:
            pushed, best = _neurons(row, prices, bounds, first[slot])
            total += best
            _add(pending, network.sources(name)[0], pushed)
    return total


def _pulled(op: Affine, k: int, row: Rationals) -> Rationals:
    """``row @ M_k`` over the exact coefficients."""
    matrix, data, denominator = op.matrices[k], op.rational.data[k], op.rational.denominator
    result = [Fraction(0)] * matrix.shape[1]
    for i, a in enumerate(row):
        if a:
            for e in range(matrix.indptr[i], matrix.indptr[i + 1]):
                result[matrix.indices[e]] += a * int(data[e])
    return [r / denominator for r in result]


def _neurons(
    row: Rationals, prices: Mapping[int, Fraction], bounds: tuple[Vector, Vector], first: int
) -> tuple[Rationals, Fraction]:
    """The multipliers of a ReLU step, and the sum of ``max{r relu(z) - pi z : l <= z <= u}``."""
    pushed, total = [], Fraction(0)
    for k, r in enumerate(row, start=first):
        low, high = Fraction(float(bounds[0][k])), Fraction(float(bounds[1][k]))
        pi = prices.get(k, Fraction(0) if high <= 0 else r)
        ends = [r * max(z, Fraction(0)) - pi * z for z in (low, high)]
        total += max([*ends, Fraction(0)] if low < 0 < high else ends)
        pushed.append(pi)
    return pushed, total


def _add(pending: dict[str, Rationals], name: str, row: Rationals) -> None:
    """Add to a node's pending coefficients."""
    pending[name] = [a + b for a, b in zip(pending[name], row, strict=True)] if name in pending else row
