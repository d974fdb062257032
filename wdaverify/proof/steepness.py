"""Lower ends of Lipschitz constants: the gradient at a point inside a cell, or else two points of one cell.

The judge takes a gradient only where no pre-activation is 0. Where one vanishes on the whole cell, the function still rises at
the same rate between two of its points: ``|g(x + t u) - g(x)| = t |G u|``, which is ``||G|| t ||u||`` for the direction u in
which the dual norm is attained.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify._types import Norm
from wdaverify.functionals import parse_functional
from wdaverify.ir.exact import exact_forward, exact_trace
from wdaverify.proof.numbers import written
from wdaverify.transport import exact_distance

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.functionals import Functional
    from wdaverify.growth.record import LipschitzConstant
    from wdaverify.ir.network import Network
    from wdaverify.proof.ledger import Ledger

_STEPS = range(2, 50, 4)
"""Binary exponents of the steps that are tried."""


def claim_steepness(
    ledger: Ledger, constant: LipschitzConstant, judged: Network, box: tuple[Vector, Vector], pointer: str
) -> str | None:
    """The claim of a lower end, ``None`` if there is none.

    Parameters
    ----------
    judged
        The network whose neurons the judge looks at: the model, or a piecewise-linear loss behind it.
    box
        The ends of the domain.
    """
    if constant.point is None or constant.lower <= 0:
        return None
    x = [Fraction(v) for v in constant.point.tolist()]
    where: dict[str, Any] = {"at": [written(v) for v in x]}
    if not _generic(judged, x, box):
        pair = _pair(constant, x, box)
        if pair is None:
            return None
        where = {"pair": [[written(v) for v in end] for end in pair]}
    fields = {"functional": constant.functional, "norm": str(constant.norm), "value": written(constant.lower)}
    return ledger.claim("liplow", about=(pointer, "lower"), **fields, **where)


def _generic(network: Network, x: list[Fraction], box: tuple[Vector, Vector]) -> bool:
    """Whether a point is inside the box and no pre-activation is 0 there."""
    inside = all(low == high or low < v < high for v, low, high in zip(x, *(end.tolist() for end in box), strict=True))
    values = exact_trace(network, x)
    return inside and all((values[network.sources(name)[0]][0] != 0).all() for name in network.relu_nodes)


def _pair(
    constant: LipschitzConstant, x: list[Fraction], box: tuple[Vector, Vector]
) -> tuple[list[Fraction], list[Fraction]] | None:
    """The point and another of its cell between which the function rises as steeply as claimed."""
    cell, network = constant.cell, constant.network
    assert cell is not None
    functional = parse_functional(constant.functional, network.outputs)
    if functional.loss == "cross-entropy":
        return None  # its rise is no rational number, and below that of the margin
    free = box[0] < box[1]
    start, least = exact_forward(network, x), Fraction(constant.lower)
    for gradient in _steepest_first(functional.rows(network.outputs) @ cell.weight * free, constant.norm):
        direction = _direction(gradient, constant.norm)
        for k in _STEPS:
            end = [a + Fraction(float(u)) / 2**k for a, u in zip(x, direction, strict=True)]
            if any(not low <= v <= high for v, low, high in zip(end, *(e.tolist() for e in box), strict=True)):
                continue
            rise = _rise(functional, start, exact_forward(network, end))
            distance = exact_distance(end, x, constant.norm)
            power = 2 if constant.norm is Norm.L2 else 1
            if distance > 0 and rise**power >= least**power * distance:
                return x, end
    return None


def _steepest_first(gradients: Matrix, norm: Norm) -> Matrix:
    """The rows by their dual norms, the largest first."""
    sizes = {Norm.LINF: np.abs(gradients).sum(axis=1), Norm.L1: np.abs(gradients).max(axis=1, initial=0.0)}
    return np.asarray(gradients[np.argsort(-sizes.get(norm, np.square(gradients).sum(axis=1)))])


def _direction(gradient: Vector, norm: Norm) -> Vector:
    """Where the dual norm is attained."""
    if norm is Norm.LINF:
        return np.asarray(np.sign(gradient))
    if norm is Norm.L1:
        return np.asarray(np.eye(len(gradient))[int(np.argmax(np.abs(gradient)))])
    return gradient


def _rise(functional: Functional, a: tuple[Fraction, ...], b: tuple[Fraction, ...]) -> Fraction:
    """How much the functional differs; of a label the margin that differs most."""
    minus = functional.minus
    before, after = ([f[j] - (f[minus] if minus is not None else 0) for j in functional.plus] for f in (a, b))
    if functional.loss == "hinge":
        return abs(max(max(after) + 1, Fraction(0)) - max(max(before) + 1, Fraction(0)))
    if functional.loss is not None:
        return abs(max(after) - max(before))
    return max(abs(u - v) for u, v in zip(before, after, strict=True))
