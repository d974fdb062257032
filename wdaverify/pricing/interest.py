"""The points of interest of many pairs of shell and rival, and linear forms bounded over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify.pricing.growth import priced_ends
from wdaverify.pricing.shells import touching
from wdaverify.pricing.warm_points import extreme_points

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.pricing.growth import Ground

_PARTS = (0.0, 0.5, 1.0)
"""Where within a shell a linear form less its price may be highest."""

_LARGEST = 1e30
"""Multipliers of half-spaces are no larger, relative to the form's own size."""


@dataclass(frozen=True, slots=True, eq=False)
class Interest:
    """Points with ``gain - multiplier * cost >= target``, on the shells of P pairs.

    Attributes
    ----------
    rows
        The gains as rows of the logits, (P, K).
    inner, outer
        Radii of the shells, (P,).
    """

    ground: Ground
    rows: Matrix
    inner: Vector
    outer: Vector
    multiplier: float
    target: float

    def __getitem__(self, index: IntArray | BoolArray) -> Interest:
        """Some of the pairs."""
        return Interest(self.ground, self.rows[index], self.inner[index], self.outer[index], self.multiplier, self.target)

    def ends(self, forms: Matrix, constants: Vector, prices: Vector, pairs: IntArray | slice = slice(None)) -> Vector:
        """Upper bounds (R,) of ``form.x + constant - price * cost`` over the shells of the pairs (R,)."""
        ground, inner, outer = self.ground, self.inner[pairs], self.outer[pairs]
        lines = ground.lines(forms, constants, touching(inner, outer)[:, ::2])
        return priced_ends(lines, prices, ground.costs(inner, up=False), ground.costs(outer, up=True))

    def gain_ends(self, forms: Matrix, constants: Vector) -> Vector:
        """Upper bounds (P,) of ``form.x + constant - multiplier * cost``, one form for each pair."""
        return self.ends(forms, constants, np.full(len(forms), self.multiplier))

    def highest(self, forms: Matrix) -> Matrix:
        """Points (P, n) where ``form.x - multiplier * cost`` is about largest on the shells."""
        ground, best, points = self.ground, np.full(len(forms), -np.inf), np.empty_like(forms)
        centers = np.broadcast_to(ground.center, forms.shape)
        for part in _PARTS:
            distance = self.inner + part * (self.outer - self.inner)
            there = extreme_points(forms, centers, distance, ground.cost, ground.box)
            value = np.einsum("rk,rk->r", forms, there) - self.multiplier * distance**ground.cost.order
            points = np.where((value > best)[:, None], there, points)
            best = np.maximum(value, best)
        return points


@dataclass(frozen=True, slots=True, eq=False)
class HalfSpaces:
    """``forms.x + constants - multiplier * cost >= 0`` holds at the points of interest of each pair, (P, n) and (P,)."""

    interest: Interest
    forms: Matrix
    constants: Vector
    sizes: Vector

    @staticmethod
    def of(interest: Interest, forms: Matrix, constants: Vector) -> HalfSpaces:
        """From forms above the gains."""
        return HalfSpaces(interest, forms, np.nextafter(constants - interest.target, np.inf), np.abs(forms).sum(axis=1))

    def ends(self, forms: Matrix, constants: Vector, pairs: IntArray, multipliers: Vector) -> Vector:
        """Upper bounds (R,) of ``form.x + constant`` at the points of interest of the pairs (R,), for any multipliers >= 0.

        A multiplier of 1 adds as much of the half-space as there is of the form.
        """
        size = np.abs(forms).sum(axis=1)
        mu = multipliers * size / np.maximum(self.sizes[pairs], size / _LARGEST + TINY)
        own, shift = self.forms[pairs], mu * self.constants[pairs]
        mixed = forms + mu[:, None] * own
        error = 8.0 * UNIT_ROUNDOFF * (np.abs(constants) + np.abs(shift)) + TINY
        error += 4.0 * UNIT_ROUNDOFF * ((np.abs(forms) + mu[:, None] * np.abs(own)) @ self.interest.ground.sizes)
        prices = np.maximum(np.nextafter(mu * self.interest.multiplier, 0.0), 0.0)
        return self.interest.ends(mixed, constants + shift + error, prices, pairs)
