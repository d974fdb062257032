"""Cubes about samples of R^n, outside of which no point is worth what a price claims; for orders p > 1.

With a constant L of the loss, a point at distance d gains at most ``L d`` and costs ``lambda d^p``: from ``R = (L /
lambda)^(1/(p-1))`` on it is worth no more than the sample itself. Any proved constant will do, since the cutoff narrows the
cube anyhow: the one here is what a single leaf proves, the gradient with every neuron undecided.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.proof.gradients import GradientBounds
from wdaverify.proof.numbers import outward, written
from wdaverify.proof.powers96 import power
from wdaverify.transport import round_up

if TYPE_CHECKING:
    from wdaverify._types import Norm
    from wdaverify.ir.network import Network
    from wdaverify.proof.ledger import Emit, Ledger

_ROOM = Fraction(1, 2**6)
"""Relative room for roundings of gradients, which the judge's slopes share with float64 but for ties, and in half widths."""

_BITS = 20
"""Significant bits of half widths."""

_LARGEST = 2.0**100
"""Half widths beyond that are not tried."""


class Cubes:
    """The constants of all labels of a network in a norm, claimed when first asked for."""

    def __init__(self, ledger: Ledger, network: Network, norm: Norm) -> None:
        self._ledger, self._network, self._norm = ledger, network, norm
        self._margins: dict[frozenset[int], tuple[str, float] | None] = {}
        self._labels: dict[int, tuple[str, float] | None] = {}

    def about(self, label: int, weight: float, order: Fraction) -> tuple[str, Fraction] | None:
        """A claim that bounds the growth of a label's losses, and the half width of a cube for this price and order.

        ``None`` if there is no such claim, the price is 0, or the cube is too large.
        """
        constant = self._label(label)
        if constant is None or weight <= 0.0 or order <= 1:
            return None
        claim, value = constant
        rise, exponent = Fraction(value), 1.0 / (float(order) - 1.0)
        if math.log2(max(value, 1e-300) / weight) * exponent > math.log2(_LARGEST):
            return None
        radius = outward(Fraction(max((value / weight) ** exponent, 2.0**-100)), _BITS, up=True)
        while Fraction(weight) * power(radius, order, up=False) < rise * radius:
            radius = outward(radius * (1 + _ROOM), _BITS, up=True)
        return claim, outward(radius * (1 + _ROOM), _BITS, up=True)

    def _label(self, label: int) -> tuple[str, float] | None:
        """A claim about the largest constant of all margins of a label, and its value."""
        if label not in self._labels:
            found = [self._margin(j, label) for j in range(self._network.outputs) if j != label]
            known = [margin for margin in found if margin is not None]
            self._labels[label] = None
            if len(known) == len(found):
                value = max(v for _, v in known)
                self._labels[label] = self._ledger.claim("all", of=[c for c, _ in known], value=written(value)), value
        return self._labels[label]

    def _margin(self, j: int, label: int) -> tuple[str, float] | None:
        """The same for one margin, whose sign does not matter."""
        pair = frozenset((j, label))
        if pair not in self._margins:
            network, size = self._network, self._network.outputs
            row, free = np.eye(size)[j] - np.eye(size)[label], np.ones(network.inputs, dtype=np.bool_)
            bounds = GradientBounds(network.compiled, row, self._norm, free)
            value = float(bounds.largest(np.zeros((1, network.compiled.neurons)))[0])
            value = round_up(Fraction(value) * (1 + _ROOM)) if math.isfinite(value) else math.inf
            self._margins[pair] = None
            if math.isfinite(value):
                claim = self._ledger.prove(
                    _gradient, "lip", functional=f"margin:{j}-{label}", norm=str(self._norm), value=written(value)
                )
                self._margins[pair] = None if claim is None else (claim, value)
        return self._margins[pair]


def _gradient(emit: Emit) -> bool:
    """One leaf: gradients of all patterns at once."""
    emit({"t": "leaf", "k": "jac"})
    return True
