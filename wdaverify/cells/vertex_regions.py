"""Polytopes in few dimensions, kept as their vertices: what a half-space cuts off is read from signs at the vertices.

The double description method (Motzkin et al. 1953; Fukuda and Prodon, *Double description method revisited*, 1996) on floats:
every vertex knows the facets that it lies on, and two vertices span an edge if the facets they share meet in no third vertex.
Vertices are guesses like a solver's; what they say is proved by the weights of the facets at an extreme vertex.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wdaverify.cells.pieces import Pieces
from wdaverify.cells.regions import Sides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector

Bits = NDArray[np.uint64]
"""Sets of facets as bits, in words along the last axis."""

_WORD = 64


@dataclass(frozen=True, slots=True, eq=False)
class VertexRegions:
    """B parts of the cube ``|u_j| <= 1``, in each of which its own walls are nonnegative.

    Attributes
    ----------
    points
        The vertices, shape (B, m, f); smaller polytopes repeat their first one at the end.
    counts
        How many there are, shape (B,).
    facets
        On which facets a vertex lies, shape (B, m, words): bits 0 to f-1 are ``u_j >= -1``, f to 2f-1 ``u_j <= 1``, and bit
        2f+k is wall k.
    walls, neurons
        As `Regions` says; places without a wall may stand anywhere.
    """

    points: Vector
    counts: IntArray
    facets: Bits
    walls: Pieces
    neurons: IntArray

    @staticmethod
    def cube(dimension: int) -> VertexRegions:
        """One region without walls."""
        upper = (np.arange(2**dimension)[:, None] >> np.arange(dimension)) & 1
        words = _words(2 * dimension)
        facets: Bits = np.zeros((1, 2**dimension, words), dtype=np.uint64)
        for j in range(dimension):
            facets[0] |= np.where(upper[:, j, None] == 1, _bit(dimension + j, words), _bit(j, words))
        none = Pieces(np.zeros((1, 0, dimension + 1)), np.zeros((1, 0)))
        points = (2.0 * upper[None] - 1.0).astype(np.float64)
        return VertexRegions(points, np.array([2**dimension]), facets, none, np.zeros((1, 0), dtype=np.int64))

    @property
    def dimension(self) -> int:
        """The number f of coordinates."""
        return int(self.points.shape[2])

    @property
    def centers(self) -> Matrix:
        """The means of the vertices."""
        real = np.arange(self.points.shape[1]) < self.counts[:, None]
        means: Matrix = (self.points * real[:, :, None]).sum(axis=1) / self.counts[:, None]
        return means

    def __getitem__(self, chosen: IntArray | BoolArray | slice) -> VertexRegions:
        """Some of them, without the places that only others need."""
        counts, neurons = self.counts[chosen], self.neurons[chosen]
        most = int(counts.max(initial=0))
        walls = int((np.arange(1, neurons.shape[1] + 1) * (neurons >= 0).any(axis=0)).max(initial=0))
        words = _words(2 * self.dimension + walls)
        pieces = Pieces(self.walls.rows[chosen, :walls], self.walls.errors[chosen, :walls])
        points, facets = self.points[chosen, :most], self.facets[chosen, :most, :words]
        return VertexRegions(points, counts, facets, pieces, neurons[:, :walls])

    def joined(self, others: Sequence[VertexRegions]) -> VertexRegions:
        """With those of more batches behind them."""
        parts = [self, *others]
        if len(parts) == 1:
            return self
        most = max(part.points.shape[1] for part in parts)
        walls = [part.walls for part in parts]
        return VertexRegions(
            np.concatenate([_repeated(part.points, most) for part in parts]),
            np.concatenate([part.counts for part in parts]),
            _stacked([_repeated(part.facets, most) for part in parts]),
            Pieces(_stacked([w.rows for w in walls]), _stacked([w.errors for w in walls])),
            _stacked([part.neurons for part in parts], filling=-1),
        )

    def sides(self, functions: Pieces, tolerances: Matrix, wanted: BoolArray) -> tuple[Sides, VertexRegions]:
        """Which sides of functions (B, R) have vertices further than tolerances (B, R) from 0."""
        rows = functions.rows
        values = rows[:, :, :-1] @ self.points.transpose(0, 2, 1) + rows[:, :, -1:]
        plus, minus = values.max(axis=2) > tolerances, values.min(axis=2) < -tolerances
        weights = np.zeros((*tolerances.shape, self.neurons.shape[1]))
        owner, index = np.nonzero(wanted & (plus != minus))
        if len(owner) and weights.shape[2]:
            # the missing side is where the function, times this sign, would be positive
            signs = np.where(plus[owner, index], -1.0, 1.0)[:, None]
            best = (signs * values[owner, index]).argmax(axis=1)
            weights[owner, index] = self._weights(signs * rows[owner, index, :-1], owner, best)
        return Sides(plus, minus, weights), self

    def _weights(self, targets: Matrix, owner: IntArray, vertices: IntArray) -> Matrix:
        """Weights (R, K) of walls with which targets (R, f) are largest at vertices of regions: optimal multipliers there."""
        from scipy.optimize import nnls  # takes a while to load, and few questions come here

        dimension, walls = self.dimension, self.neurons.shape[1]
        own = _unpacked(self.facets[owner, vertices])[:, : 2 * dimension + walls]
        weights = np.zeros(own.shape)
        box = np.vstack([np.eye(dimension), -np.eye(dimension)])
        normals = np.concatenate([np.broadcast_to(box, (len(self.counts), *box.shape)), self.walls.rows[:, :, :-1]], axis=1)
        simple = np.flatnonzero(own.sum(axis=1) == dimension)
        places = np.nonzero(own[simple])[1].reshape(-1, dimension)
        try:
            matrices = normals[owner[simple][:, None], places].transpose(0, 2, 1)
            weights[simple[:, None], places] = np.linalg.solve(matrices, -targets[simple][:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            simple = simple[:0]
        for k in np.setdiff1d(np.arange(len(own)), simple):
            around = np.flatnonzero(own[k])
            try:
                weights[k, around] = nnls(normals[owner[k], around].T, -targets[k])[0]
            except RuntimeError:  # too many iterations: no proposal
                continue
        return weights[:, 2 * dimension :]

    def split(self, functions: Pieces, neurons: IntArray, tolerances: Vector) -> tuple[VertexRegions, VertexRegions]:
        """The parts where one more function a region, (B, 1), is nonnegative, and where it is nonpositive."""
        values = (self.points @ functions.rows[:, 0, :-1, None])[:, :, 0] + functions.rows[:, :, -1]
        real = np.arange(values.shape[1]) < self.counts[:, None]
        plus, minus = real & (values > tolerances[:, None]), real & (values < -tolerances[:, None])
        roomy, slots = self._with_room()
        words = roomy.facets.shape[2]
        new: Bits = np.zeros((len(slots), words), dtype=np.uint64)
        bits = 2 * self.dimension + slots
        new[np.arange(len(slots)), bits // _WORD] = np.uint64(1) << (bits % _WORD).astype(np.uint64)
        owner, above, below = roomy._edges(plus, minus)
        high, low = values[owner, above], values[owner, below]
        start, end = self.points[owner, above], self.points[owner, below]
        cuts = start + (high / (high - low))[:, None] * (end - start)
        shared = (roomy.facets[owner, above] & roomy.facets[owner, below]) | new[owner]
        on = (real & ~plus & ~minus)[:, :, None]
        facets = np.where(on, roomy.facets | new[:, None], roomy.facets)
        parts = []
        for sign, other in ((1.0, minus), (-1.0, plus)):
            b, i = np.nonzero(real & ~other)
            owners = np.concatenate([b, owner])
            points = np.concatenate([self.points[b, i], cuts])
            signed = Pieces(sign * functions.rows, functions.errors)
            parts.append(roomy._part(owners, points, np.concatenate([facets[b, i], shared]), signed, neurons, slots))
        return parts[0], parts[1]

    def _with_room(self) -> tuple[VertexRegions, IntArray]:
        """The regions with room for one more wall, and the place that is free, shape (B,)."""
        taken = np.column_stack([self.neurons >= 0, np.zeros(len(self.counts), dtype=bool)])
        slots = taken.argmin(axis=1)
        count, walls = self.neurons.shape[1], int(slots.max()) + 1
        if walls <= count:
            return self, slots
        rows = np.concatenate([self.walls.rows, np.zeros((len(slots), 1, self.dimension + 1))], axis=1)
        errors, neurons = (
            np.column_stack([a, np.full(len(slots), v)]) for a, v in ((self.walls.errors, 0.0), (self.neurons, -1))
        )
        facets = _wider(self.facets, _words(2 * self.dimension + walls))
        return VertexRegions(self.points, self.counts, facets, Pieces(rows, errors), neurons), slots

    def _edges(self, plus: BoolArray, minus: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
        """Owner and ends of the edges between vertices of two sets (B, m)."""
        dimension = self.dimension
        degenerate = np.bitwise_count(self.facets).sum(axis=2).max(axis=1) > dimension
        found = []
        for b, facets in enumerate(self.facets):
            above, below = np.flatnonzero(plus[b]), np.flatnonzero(minus[b])
            common = np.bitwise_count(facets[above, None] & facets[None, below]).sum(axis=2, dtype=np.uint8)
            first, second = np.nonzero(common >= dimension - 1)
            above, below = above[first], below[second]
            if degenerate[b]:  # more facets than needed meet somewhere
                shared = (facets[above] & facets[below])[:, None]
                containing = ((facets[: self.counts[b]] & shared) == shared).all(axis=2).sum(axis=1)
                above, below = above[containing == 2], below[containing == 2]
            found.append((np.full(len(above), b), above, below))
        owners, aboves, belows = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return owners, aboves, belows

    def _part(
        self, owners: IntArray, points: Matrix, facets: Bits, walls: Pieces, neurons: IntArray, slots: IntArray
    ) -> VertexRegions:
        """One side of a split: vertices (V,) of all regions in any order, and the new wall of each in its place."""
        order = np.argsort(owners, kind="stable")
        counts = np.bincount(owners, minlength=len(slots))
        starts = np.cumsum(counts) - counts
        place = np.arange(int(counts.max()))
        index = order[starts[:, None] + np.where(place < counts[:, None], place, 0)]
        packed = facets[index]
        rows, errors, numbers = self.walls.rows.copy(), self.walls.errors.copy(), self.neurons.copy()
        every = np.arange(len(slots))
        rows[every, slots], errors[every, slots], numbers[every, slots] = walls.rows[:, 0], walls.errors[:, 0], neurons
        # walls that touch no vertex are redundant: their places are free again
        touched = _unpacked(np.bitwise_or.reduce(packed, axis=1))[:, 2 * self.dimension :][:, : rows.shape[1]]
        numbers = np.where(touched, numbers, -1)
        return VertexRegions(points[index], counts, packed, Pieces(rows * touched[:, :, None], errors * touched), numbers)


def _words(bits: int) -> int:
    return max(1, -(-bits // _WORD))


def _bit(position: int, words: int) -> Bits:
    bits: Bits = np.zeros(words, dtype=np.uint64)
    bits[position // _WORD] = np.uint64(1 << (position % _WORD))
    return bits


def _unpacked(bits: Bits) -> BoolArray:
    """Bits (R, words) as booleans (R, 64 words)."""
    flags = (bits[:, :, None] >> np.arange(_WORD, dtype=np.uint64)) & np.uint64(1)
    return np.asarray(flags.reshape(len(bits), -1) != 0)


def _wider(bits: Bits, words: int) -> Bits:
    missing = words - bits.shape[-1]
    return bits if missing <= 0 else np.concatenate([bits, np.zeros((*bits.shape[:-1], missing), dtype=np.uint64)], axis=-1)


def _repeated(array: NDArray[Any], count: int) -> NDArray[Any]:
    """With its first entries along axis 1 again and again at the end."""
    missing = count - array.shape[1]
    return array if missing == 0 else np.concatenate([array, np.repeat(array[:, :1], missing, axis=1)], axis=1)


def _stacked(arrays: Sequence[NDArray[Any]], filling: float = 0) -> NDArray[Any]:
    """Put batches behind each other, each axis but the first as long as the longest."""
    shape = tuple(max(a.shape[axis] for a in arrays) for axis in range(1, arrays[0].ndim))
    result = np.full((sum(len(a) for a in arrays), *shape), filling, dtype=arrays[0].dtype)
    start = 0
    for a in arrays:
        result[(slice(start, start + len(a)), *(slice(0, size) for size in a.shape[1:]))] = a
        start += len(a)
    return result
