"""Linear forms on shells about a center, and the room that each coordinate has there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify.bounds.rounding import INFLATION, gamma, underflow

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.transport import GroundCost


@dataclass(frozen=True, slots=True, eq=False)
class Shells:
    """What the forms (R, n) may reach: one box, and a shell for each form.

    Attributes
    ----------
    center, lower, upper
        Shape (n,): the center, and the box that holds it.
    inner, outer
        Shape (R,): bounds of ``||S (x - center)||``; `outer` may be infinite.
    """

    center: Vector
    lower: Vector
    upper: Vector
    inner: Vector
    outer: Vector


@dataclass(frozen=True, slots=True, eq=False)
class Rooms:
    """The forms beside the room of each coordinate, in the scaled lengths ``|a_k| / s_k`` and ``s_k cap_k`` and as they are.

    Attributes
    ----------
    sizes, caps
        Shape (R, n): ``|a_k| / s_k`` and ``s_k cap_k``, rounded up.
    plain, towards, away
        Shape (R, n): ``|a_k|``, and how far ``x_k`` can go in the direction in which the form grows, and in the other.
    base, reach
        Shape (R,): ``a . center``, and ``|a| . |center|``.
    farthest
        Shape (R,): at least the length of every step that the form gains by, and at most `outer`.
    """

    sizes: Matrix
    caps: Matrix
    plain: Matrix
    towards: Matrix
    away: Matrix
    scales: Vector
    base: Vector
    reach: Vector
    inner: Vector
    outer: Vector
    farthest: Vector

    @staticmethod
    def of(forms: Matrix, shells: Shells, ground: GroundCost) -> Rooms:
        """The rooms of forms (R, n), rounded up."""
        n = forms.shape[1]
        scales = np.ones(n) if ground.scales is None else ground.scales
        outer = np.broadcast_to(np.asarray(shells.outer, dtype=np.float64), len(forms))
        inner = np.broadcast_to(np.asarray(shells.inner, dtype=np.float64), len(forms))
        ball = np.nextafter(outer[:, None] / scales, np.inf)
        above = np.minimum(np.nextafter(np.maximum(shells.upper - shells.center, 0.0), np.inf), ball)
        below = np.minimum(np.nextafter(np.maximum(shells.center - shells.lower, 0.0), np.inf), ball)
        grows = forms > 0
        towards, away = np.where(grows, above, below), np.where(grows, below, above)
        plain = np.abs(forms)
        sizes, caps = plain / scales, towards * scales
        if ground.scales is not None:
            sizes, caps = np.nextafter(sizes, np.inf), np.nextafter(caps, np.inf)
        far = ground.lengths(np.where(plain > 0, towards, 0.0)) * (1.0 + 1e-9)
        return Rooms(sizes, caps, plain, towards, away, scales, forms @ shells.center, plain @ np.abs(shells.center),
                      inner, outer, np.minimum(outer, np.maximum(far, inner)))  # fmt: skip

    def above(self, gain: Vector, charged: Vector) -> Vector:
        """``base + gain`` rounded up, where the gain is a sum of at most n + 8 terms of few roundings and of size `charged`."""
        terms = self.sizes.shape[1] + 24
        error = 2.0 * gamma(terms) * INFLATION * (self.reach + charged)
        value = self.base + gain
        largest = self.plain.max(axis=1, initial=0.0) + self.sizes.max(axis=1, initial=0.0)
        return np.asarray(value + error + 8.0 * UNIT_ROUNDOFF * np.abs(value) + underflow(terms, largest) + TINY)

    @property
    def unit_sizes(self) -> Matrix:
        """The sizes in units of the largest of their row."""
        return np.asarray(self.sizes / self.largest[:, None])

    @property
    def largest(self) -> Vector:
        """The largest size of each form, positive."""
        return np.asarray(np.maximum(self.sizes.max(axis=1, initial=0.0), TINY))


_NO_ROOM = 1e-150
"""Rooms below this one count as none when a multiplier is chosen: their squares underflow."""


class RoundSteps:
    """The best steps of l2 length, longer the larger kappa: ``s_k d_k = min(kappa |a_k| / s_k, s_k cap_k)``. They only propose.

    Attributes
    ----------
    sizes, caps
        Shape (R, n): in units of the largest size, and the rooms that are not next to none.
    """

    def __init__(self, rooms: Rooms) -> None:
        self.caps = np.where(rooms.caps < _NO_ROOM, 0.0, rooms.caps)
        self.sizes = rooms.unit_sizes
        turns = np.where(self.sizes > 0, self.caps / self.sizes, np.inf)  # the kappa at which a coordinate has used its room
        order = np.argsort(turns, axis=1)
        self._turns, squares, areas = (np.take_along_axis(a, order, axis=1) for a in (turns, self.sizes**2, self.caps**2))
        none, self._row = np.zeros((len(turns), 1)), np.arange(len(turns))
        self._used = np.concatenate([none, np.cumsum(np.where(np.isfinite(self._turns), areas, 0.0), axis=1)], axis=1)
        self._free = np.concatenate([np.cumsum(squares[:, ::-1], axis=1)[:, ::-1], none], axis=1)
        at_turns = self._used[:, :-1] + np.square(self._turns) * self._free[:, :-1]
        self._square_lengths = np.where(np.isfinite(self._turns), at_turns, np.inf)

    def kappa_of_length(self, length: Vector) -> Vector:
        """The kappa (R,) of a length; ``inf`` where the box ends before."""
        j = (self._square_lengths < np.square(length)[:, None]).sum(axis=1)
        left, free = np.maximum(np.square(length) - self._used[self._row, j], 0.0), self._free[self._row, j]
        return np.where(free > 0, np.sqrt(left / free), np.where(left > 0, np.inf, 0.0))

    def kappa_of_price(self, price: Vector) -> Vector:
        """The kappa (R,) at which one more unit of length gains the price, in units of the largest size."""
        square = np.square(price)[:, None]
        at_turns = np.where(self._turns > 0, self._used[:, 1:] / np.square(self._turns) + self._free[:, 1:], np.inf)
        j = (np.where(np.isfinite(self._turns), at_turns, self._free[:, 1:]) > square).sum(axis=1)
        room = square[:, 0] - self._free[self._row, j]
        beyond = np.where(room > 0, np.sqrt(self._used[self._row, j] / room), np.inf)
        # up to its first turn a row gains the same price everywhere: that price itself may miss its stretch by a rounding
        beyond = np.minimum(beyond, np.concatenate([self._turns, np.full((len(room), 1), np.inf)], axis=1)[self._row, j])
        return np.where(self._free[:, 0] <= square[:, 0], 0.0, beyond)
