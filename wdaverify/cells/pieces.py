"""A network on many cells, slot by slot, as affine functions of box coordinates, with proved errors.

The box is ``x = center + half * u`` with ``|u_j| <= 1`` in the coordinates that are not fixed. An affine function is a float
row with its constant at the end, and a number that bounds how far it is from the exact function anywhere on the box. For

    y = sum_k M_k x_k + b      error(y) <= sum_k |M_k| error(x_k) + gamma (sum_k |M_k| size(x_k) + |b|)

where the size of a function is the sum of the absolute values of its row (Higham, *Accuracy and Stability of Numerical
Algorithms*, 2nd ed., section 3.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import DomainError
from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.bounds.rounding import INFLATION, gamma, underflow
from wdaverify.ir.compiled import AffineStep, InputStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, SparseMatrix, Vector
    from wdaverify.domain import Box
    from wdaverify.ir.compiled import CompiledNetwork


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The coordinates of a bounded box.

    Attributes
    ----------
    box
        With vector ends.
    free
        Numbers of the coordinates that are not fixed, shape (f,).
    center
        Shape (n,).
    half
        Shape (f,); rounded up, so that the box lies within ``|u| <= 1``.
    """

    box: Box
    free: IntArray
    center: Vector
    half: Vector

    @staticmethod
    def of(box: Box) -> Frame:
        """The frame of a box.

        Raises
        ------
        DomainError
            If the box has an infinite end.
        """
        if not box.bounded:
            raise DomainError("activation cells are enumerated on bounded boxes: give finite ends")
        free = np.flatnonzero(box.lower < box.upper)
        center = box.clip(0.5 * box.lower + 0.5 * box.upper)
        half = np.maximum(box.upper - center, center - box.lower)[free]
        return Frame(box, free, center, np.nextafter(half, np.inf))

    def points(self, u: Matrix) -> Matrix:
        """The points x (B, n) nearest to coordinates u (B, f), in the box."""
        x = np.tile(self.center, (len(u), 1))
        x[:, self.free] += self.half * u
        return self.box.clip(x)

    def coordinates(self, x: Matrix) -> Matrix:
        """The coordinates u (B, f) of points (B, n), each within four relative roundings."""
        u: Matrix = (x[:, self.free] - self.center[self.free]) / self.half
        return u


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Affine functions of u, R for each of B cells; a batch of one may be shared by many cells.

    Attributes
    ----------
    rows
        Shape (B, R, f + 1), the constants last.
    errors
        Shape (B, R): on the box no function is further from the exact one.
    """

    rows: Vector
    errors: Matrix

    @property
    def sizes(self) -> Matrix:
        """Bounds of the absolute values of the float functions, (B, R), up to rounding."""
        sizes: Matrix = np.abs(self.rows).sum(axis=-1)
        return sizes

    @property
    def shared(self) -> bool:
        """Whether they may stand for any number of cells."""
        return len(self.errors) == 1

    def broadcast(self, count: int) -> Pieces:
        """One for each cell."""
        return Pieces(*(np.broadcast_to(a, (count, *a.shape[1:])) for a in (self.rows, self.errors)))

    def __getitem__(self, cells: IntArray | BoolArray | slice) -> Pieces:
        """Those of some of the cells."""
        return Pieces(self.rows[cells], self.errors[cells])

    @staticmethod
    def joined(parts: Sequence[Pieces | None], counts: Sequence[int]) -> Pieces | None:
        """Those of several batches with these numbers of cells; what all of them share stays shared."""
        first = parts[0]
        if first is None or (first.shared and all(part is first for part in parts)):
            return first
        full = [part.broadcast(count) for part, count in zip(parts, counts, strict=True) if part is not None]
        return Pieces(np.concatenate([part.rows for part in full]), np.concatenate([part.errors for part in full]))


Slots = tuple[Pieces | None, ...]
"""What is known of every slot; ``None`` where a later ReLU is not passed yet."""


class Propagation:
    """The layers of a network on a box; a ReLU is passed when its phases are known."""

    def __init__(self, compiled: CompiledNetwork, frame: Frame) -> None:
        self._compiled, self._frame = compiled, frame
        self._terms = [self._longest_sum(slot) for slot in range(len(compiled.steps))]

    def start(self) -> Slots:
        """All slots before the first ReLU, for one cell."""
        return self._advanced([None] * len(self._compiled.steps), 0)

    def passed(self, slots: Slots, layer: int, phases: BoolArray) -> Slots:
        """Give the ReLU step number `layer` the phases (B, neurons), and go on to the next ReLU, or to the end."""
        step = self._compiled.relus[layer]
        source = slots[step.source]
        assert source is not None
        active = phases[:, step.neurons]
        more = list(slots)
        more[step.slot] = Pieces(np.where(active[:, :, None], source.rows, 0.0), np.where(active, source.errors, 0.0))
        return self._advanced(more, step.slot + 1)

    def _advanced(self, slots: list[Pieces | None], first: int) -> Slots:
        for step in self._compiled.steps[first:]:
            if isinstance(step, InputStep):
                slots[step.slot] = self._input()
            elif isinstance(step, AffineStep):
                slots[step.slot] = self._affine(step, slots)
            else:
                break
        return tuple(slots)

    def _input(self) -> Pieces:
        frame = self._frame
        rows = np.zeros((len(frame.center), len(frame.free) + 1))
        rows[frame.free, np.arange(len(frame.free))] = frame.half
        rows[:, -1] = frame.center
        return Pieces(rows[None], np.zeros((1, len(rows))))

    def _affine(self, step: AffineStep, slots: list[Pieces | None]) -> Pieces:
        terms, width = self._terms[step.slot], len(self._frame.free) + 1
        rows: Vector = np.zeros((1, step.size, width))
        rows[:, :, -1] = step.bias
        errors, sizes, reach = np.zeros((1, step.size)), np.abs(step.bias)[None], np.ones((1, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            for factor, number in zip(step.factors, step.sources, strict=True):
                source = slots[number]
                assert source is not None
                size = source.sizes
                rows = rows + _applied(factor.matrix, source.rows)
                both = _applied(factor.sizes, np.stack([source.errors, size + source.errors], axis=2))
                errors, sizes = errors + both[:, :, 0], sizes + both[:, :, 1]
                reach = reach + size.sum(axis=1, keepdims=True)
            errors = (errors + gamma(terms) * sizes) * INFLATION + width * underflow(terms, reach)
        return Pieces(rows, np.where(np.isfinite(errors), errors, np.inf))

    def _longest_sum(self, slot: int) -> int:
        step = self._compiled.steps[slot]
        if not isinstance(step, AffineStep):
            return 0
        return sum(self._compiled.steps[source].size for source in step.sources) + 8


def _applied(matrix: Matrix | SparseMatrix, columns: Vector) -> Vector:
    """``matrix @ columns[b]`` for columns (B, size, C)."""
    if isinstance(matrix, np.ndarray):
        return matrix @ columns
    count, size, width = columns.shape
    product: Vector = matrix @ columns.transpose(1, 0, 2).reshape(size, count * width)
    return product.reshape(-1, count, width).transpose(1, 0, 2)


def agrees(pieces: Pieces, u: Matrix, phases: BoolArray) -> BoolArray:
    """Which functions (B, R) are proved to have the strict sign of their phase at float coordinates, or to vanish identically.

    Errors of four roundings in every coordinate are allowed for, those of `Frame.coordinates`.

    Parameters
    ----------
    u, phases
        Shapes (B, f) and (B, R).
    """
    values = (pieces.rows[:, :, :-1] @ u[:, :, None])[:, :, 0] + pieces.rows[:, :, -1]
    sizes = pieces.sizes
    with np.errstate(over="ignore", invalid="ignore"):
        allowance = pieces.errors + gamma(u.shape[1] + 12) * sizes * INFLATION + underflow(u.shape[1] + 1, np.full(1, 2.0))
        strict = np.where(phases, values, -values) > allowance
    return np.asarray(strict | ((sizes == 0.0) & (pieces.errors == 0.0)))


def excluded(targets: Pieces, walls: Pieces, weights: Vector) -> BoolArray:
    """Which targets (B, R) are proved negative wherever all walls (B, K) of their cell are nonnegative.

    For weights w >= 0 a target is at most ``target + sum_k w_k wall_k``, and that at most its constant plus the sum of the
    absolute values of its row. All roundings are charged.

    Parameters
    ----------
    weights
        Shape (B, R, K); what is negative or no number counts as 0.

    Examples
    --------
    ``u - 2/3`` is negative where ``1/3 - u`` is not:

    >>> no_errors = np.zeros((1, 1))
    >>> target, wall = Pieces(np.array([[[1.0, -2 / 3]]]), no_errors), Pieces(np.array([[[-1.0, 1 / 3]]]), no_errors)
    >>> [excluded(target, wall, np.full((1, 1, 1), weight)).item() for weight in (0.9, 0.0)]
    [True, False]
    """
    weights = np.where(np.isfinite(weights) & (weights > 0.0), weights, 0.0)
    count, width = walls.rows.shape[1:]
    with np.errstate(over="ignore", invalid="ignore"):
        sums = targets.rows + weights @ walls.rows
        bounds = np.abs(sums[:, :, :-1]).sum(axis=2) + sums[:, :, -1]
        more = weights @ np.stack([walls.errors, walls.sizes, np.ones_like(walls.errors)], axis=2)
        errors = targets.errors + more[:, :, 0] + gamma(count + width + 8) * (targets.sizes + more[:, :, 1])
        tiny = width * underflow(count + 1, 1.0 + more[:, :, 2])
        return np.asarray(bounds + errors * INFLATION + tiny < -UNIT_ROUNDOFF * np.abs(bounds))
