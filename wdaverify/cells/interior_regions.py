"""Polytopes in any dimension, kept as an interior point and a few more: what they do not show is asked of small programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify.cells.barrier import ascend, centered
from wdaverify.cells.pieces import Pieces
from wdaverify.cells.regions import Sides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector

_POOL = 16
"""Points that a region remembers."""

_CHUNK = 256
"""Programs to solve at once."""

_CLEAR = 1e-6
"""A function that is negative by this part of its size on the whole cube needs no program."""

_SHORT = 0.999
"""How far towards a wall points are taken."""


@dataclass(frozen=True, slots=True, eq=False)
class InteriorRegions:
    """B parts of the cube ``|u_j| <= 1``, in each of which its own walls are nonnegative.

    Attributes
    ----------
    walls, neurons
        As `Regions` says.
    centers
        Shape (B, f), strictly inside.
    samples
        More points inside, shape (B, S, f); in no particular place, and some of them repeated.
    """

    walls: Pieces
    neurons: IntArray
    centers: Matrix
    samples: Vector

    @staticmethod
    def cube(dimension: int) -> InteriorRegions:
        """One region without walls."""
        none = Pieces(np.zeros((1, 0, dimension + 1)), np.zeros((1, 0)))
        center = np.zeros((1, dimension))
        return InteriorRegions(none, np.zeros((1, 0), dtype=np.int64), center, center[:, None])

    def __getitem__(self, chosen: IntArray | BoolArray | slice) -> InteriorRegions:
        """Some of them, without the places that only others need."""
        neurons = self.neurons[chosen]
        walls = int((neurons >= 0).sum(axis=1).max(initial=0))
        pieces = Pieces(self.walls.rows[chosen, :walls], self.walls.errors[chosen, :walls])
        return InteriorRegions(pieces, neurons[:, :walls], self.centers[chosen], self.samples[chosen])

    def joined(self, others: Sequence[InteriorRegions]) -> InteriorRegions:
        """With those of more batches behind them."""
        parts = [self, *others]
        if len(parts) == 1:
            return self
        walls, samples = max(part.neurons.shape[1] for part in parts), max(part.samples.shape[1] for part in parts)
        return InteriorRegions(
            Pieces(*(np.concatenate([_longer(a, walls) for a in arrays])
                     for arrays in ([p.walls.rows for p in parts], [p.walls.errors for p in parts]))),
            np.concatenate([_longer(part.neurons, walls, -1) for part in parts]),
            np.concatenate([part.centers for part in parts]),
            np.concatenate([part._with_samples(samples) for part in parts]),
        )  # fmt: skip

    def sides(self, functions: Pieces, tolerances: Matrix, wanted: BoolArray) -> tuple[Sides, InteriorRegions]:
        """Which sides of functions (B, R) have points further than tolerances (B, R) from 0, where it is wanted."""
        rows = functions.rows
        samples = np.concatenate([self.centers[:, None], self.samples, self._chords(rows)], axis=1)
        values = rows[:, :, :-1] @ samples.transpose(0, 2, 1) + rows[:, :, -1:]
        plus, minus = values.max(axis=2) > tolerances, values.min(axis=2) < -tolerances
        weights = np.zeros((*tolerances.shape, self.neurons.shape[1]))
        signs = np.where(plus, -1.0, 1.0)
        highest = signs * rows[:, :, -1] + np.abs(rows[:, :, :-1]).sum(axis=2)
        owner, index = np.nonzero(wanted & (plus != minus) & (highest > -_CLEAR * functions.sizes))
        found = [np.zeros((0, samples.shape[2]))]
        for start in range(0, len(owner), _CHUNK):
            b, j = owner[start : start + _CHUNK], index[start : start + _CHUNK]
            sign = signs[b, j]
            targets = Pieces((sign[:, None] * rows[b, j])[:, None], functions.errors[b, j][:, None])
            points, best, weights[b, j] = ascend(targets, tolerances[b, j], self.walls[b], self.centers[b])
            plus[b, j] |= (sign > 0) & (best > tolerances[b, j])
            minus[b, j] |= (sign < 0) & (best > tolerances[b, j])
            found.append(points)
        return Sides(plus, minus, weights), self._enriched(samples, owner, np.concatenate(found))

    def _chords(self, rows: Vector) -> Vector:
        """From the centre along and against each function's gradient, nearly to the end; shape (B, 2 R, f)."""
        lengths = np.linalg.norm(rows[:, :, :-1], axis=2, keepdims=True)
        directions = rows[:, :, :-1] / np.maximum(lengths, 1e-300)
        directions = np.concatenate([directions, -directions], axis=1)
        slopes, centers = self.walls.rows[:, :, :-1], self.centers
        slacks = (slopes @ centers[:, :, None])[:, :, 0] + self.walls.rows[:, :, -1]
        rates = directions @ slopes.transpose(0, 2, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            walls = np.where(rates < 0.0, slacks[:, None] / -rates, np.inf).min(axis=2, initial=2.0 * np.sqrt(centers.shape[1]))
            room = np.where(directions > 0.0, 1.0 - centers[:, None], 1.0 + centers[:, None]) / np.abs(directions)
        ends = np.minimum(walls, np.where(directions == 0.0, np.inf, room).min(axis=2, initial=np.inf))
        points: Vector = centers[:, None] + _SHORT * np.maximum(ends, 0.0)[:, :, None] * directions
        return points

    def _enriched(self, samples: Vector, owner: IntArray, points: Matrix) -> InteriorRegions:
        """With these samples, and with points (P, f) of regions (P,) before them."""
        counts = np.bincount(owner, minlength=len(self.centers))
        more = np.repeat(self.centers[:, None], int(counts.max(initial=0)), axis=1)
        more[owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]] = points  # owners are ascending
        return InteriorRegions(self.walls, self.neurons, self.centers, np.concatenate([more, samples], axis=1))

    def split(self, functions: Pieces, neurons: IntArray, tolerances: Vector) -> tuple[InteriorRegions, InteriorRegions]:
        """The parts where one more function a region, (B, 1), is nonnegative, and where it is nonpositive."""
        slopes, constants = functions.rows[:, 0, :-1, None], functions.rows[:, :, -1]
        values, middle = (self.samples @ slopes)[:, :, 0] + constants, (self.centers[:, None] @ slopes)[:, :, 0] + constants
        every = np.arange(len(neurons))
        parts = []
        for sign in (1.0, -1.0):
            best = (sign * values).argmax(axis=1)
            high, low = sign * values[every, best], np.minimum(sign * middle[:, 0], 0.0)
            # half of the way from the sample to where the function vanishes, unless the centre is on this side itself
            share = np.where(sign * middle[:, 0] > tolerances, 1.0, 0.5 * high / np.maximum(high - low, 1e-300))
            starts = self.samples[every, best] + share[:, None] * (self.centers - self.samples[every, best])
            walls = Pieces(
                np.concatenate([self.walls.rows, sign * functions.rows], axis=1),
                np.concatenate([self.walls.errors, functions.errors], axis=1),
            )
            centers = centered(walls.rows, starts)
            chosen = np.argsort(sign * values <= tolerances[:, None], axis=1, kind="stable")[:, :_POOL]
            inside = np.take_along_axis(sign * values, chosen, axis=1) > tolerances[:, None]
            samples = np.where(inside[:, :, None], self.samples[every[:, None], chosen], centers[:, None])
            parts.append(InteriorRegions(walls, np.column_stack([self.neurons, neurons]), centers, samples))
        return parts[0], parts[1]

    def _with_samples(self, count: int) -> Vector:
        """The samples (B, count, f), filled up with centres."""
        missing = count - self.samples.shape[1]
        return np.concatenate([self.samples, np.repeat(self.centers[:, None], missing, axis=1)], axis=1)


def _longer(array: NDArray[Any], count: int, filling: float = 0) -> NDArray[Any]:
    """With more entries along axis 1."""
    missing = np.full((len(array), count - array.shape[1], *array.shape[2:]), filling, dtype=array.dtype)
    return np.concatenate([array, missing], axis=1)
