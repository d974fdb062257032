"""The backward pass: linear forms of one slot, rewritten into linear forms of the input, and bounded there.

Rows of all regions lie flat in one array, so that every layer is one matrix product for all of them; each row reads the
relaxation of its own region. A ReLU with ``l <= z <= u`` satisfies, for any slope ``s`` in [0, 1],

    s z <= relu(z)                       and       relu(z) <= s z + max(-s l, (1 - s) u),

the second because ``relu(z) - s z`` is convex, hence largest at an end (Zhang et al., *Efficient neural network
robustness certification with general activation functions*, NeurIPS 2018, section 3). In the words of `bounds.lagrangian` these
are the multipliers ``pi = s r``. Any rounding of the slope is therefore harmless; only the intercept is rounded, upward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.bounds.concretise import dots, linear_maximum
from wdaverify.bounds.lagrangian import Prices, Pulled, pull_back_priced
from wdaverify.bounds.rounding import underflow
from wdaverify.ir.compiled import AffineStep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.bounds.lagrangian import Charges
    from wdaverify.domain import Regions
    from wdaverify.ir.compiled import CompiledNetwork, ReluStep


@dataclass(frozen=True, slots=True, eq=False)
class Chords:
    """``a z <= relu(z) <= s z + t`` per region and neuron of one ReLU step, each (B, size).

    The lower slopes a are 0 or 1, so that multiplying with them is exact. The intercepts t also hold what the rounding of the
    product with s may cost, `floor` (B,) what its underflow may.
    """

    lower_slope: Matrix
    slope: Matrix
    intercept: Matrix
    floor: Vector

    @staticmethod
    def of(low: Matrix, high: Matrix) -> Chords:
        """The triangle's upper edge, and the lower slope that cuts off less area: 1 if ``u > -l``, else 0."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            active, unstable = low >= 0, (low < 0) & (high > 0)
            chord = np.clip(high / (high - low), 0.0, 1.0)
            slope = np.where(unstable, np.where(np.isnan(chord), 1.0, chord), active)
            size = np.where(unstable, np.maximum(-low, high), 0.0)
            ends = np.maximum(-slope * low, (1.0 - slope) * high)
            intercept = (ends + 2.0 * UNIT_ROUNDOFF * slope * size) * (1.0 + 16.0 * UNIT_ROUNDOFF)
            intercept = np.where(unstable, np.where(np.isnan(intercept), np.inf, intercept), 0.0)
            floor = np.where(unstable.any(axis=1), underflow(1, size.sum(axis=1)), 0.0)
        return Chords((active | (unstable & (high > -low))).astype(np.float64), slope, intercept, floor)

    def price(self, rows: Matrix, owner: IntArray) -> Prices:
        """The multipliers of rows whose regions are `owner`: the upper edge where ``r > 0``, else the lower slope."""
        positive = np.maximum(rows, 0.0)
        total = dots(positive, self.intercept, owner) + (self.floor[0] if len(self.floor) == 1 else self.floor[owner])
        if len(self.slope) == 1:
            pi = np.where(rows > 0, self.slope, self.lower_slope) * rows
        else:
            # one of the two products is zero, so that the sum is exact
            pi = (rows - positive) * self.lower_slope.take(owner, axis=0)
            positive *= self.slope.take(owner, axis=0)
            pi += positive
        return Prices(pi, total, total)


@dataclass(frozen=True, slots=True, eq=False)
class Relaxation:
    """What the backward pass reads of a batch of regions.

    Attributes
    ----------
    charges
        Of a set that contains every region.
    chords
        Slot of a ReLU step to its chords.
    """

    compiled: CompiledNetwork
    charges: Charges
    chords: Mapping[int, Chords]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Linear forms to be bounded: ``sum_s seeds[s] . value(s) + constant + error``, each on the region `owner`.

    Attributes
    ----------
    seeds
        Slot to coefficients (R, size of the slot).
    owner
        Shape (R,).
    constant, error
        Shape (R,).
    """

    seeds: Mapping[int, Matrix]
    owner: IntArray
    constant: Vector
    error: Vector

    @staticmethod
    def of_forms(slot: int, forms: Matrix, owner: IntArray) -> Rows:
        """Forms (R, size) of one slot."""
        return Rows({slot: forms}, owner, np.zeros(len(owner)), np.zeros(len(owner)))

    @staticmethod
    def of_entries(relaxation: Relaxation, slot: int, entries: IntArray, owner: IntArray) -> Rows:
        """The values of single entries of a slot and, in the second half, their negatives.

        Where the slot is affine its rows are read off the matrices instead of multiplying unit rows with them.
        """
        step, owners = relaxation.compiled.steps[slot], np.concatenate([owner, owner])
        if isinstance(step, AffineStep) and len(set(step.sources)) == len(step.sources):
            vector = relaxation.charges.vectors[slot]
            assert vector is not None
            parts = [_rows_of(factor.matrix, entries) for factor in step.factors]
            bias = step.bias[entries]
            error = np.tile(vector[entries] + relaxation.charges.floors[slot], 2)
            seeds = {s: np.concatenate([p, -p]) for s, p in zip(step.sources, parts, strict=True)}
            return Rows(seeds, owners, np.concatenate([bias, -bias]), error)
        unit = np.zeros((len(entries), step.size))
        unit[np.arange(len(entries)), entries] = 1.0
        return Rows.of_forms(slot, np.concatenate([unit, -unit]), owners)


def _rows_of(matrix: Matrix, entries: IntArray) -> Matrix:
    """Chosen rows of a dense or sparse matrix, dense."""
    return matrix.take(entries, axis=0) if isinstance(matrix, np.ndarray) else matrix[entries].toarray()


def upper_forms(relaxation: Relaxation, rows: Rows) -> Pulled:
    """Linear forms of the input that lie above the rows on their regions."""

    def price(step: ReluStep, adjoints: Matrix) -> Prices:
        return relaxation.chords[step.slot].price(adjoints, rows.owner)

    with np.errstate(over="ignore", invalid="ignore"):
        pulled = pull_back_priced(relaxation.compiled, relaxation.charges, rows.seeds, price)
        constant = pulled.constant + rows.constant
        error = pulled.error + rows.error + 2.0 * UNIT_ROUNDOFF * np.abs(constant)
    return Pulled(pulled.coefficients, constant, error)


def upper_ends(pulled: Pulled, regions: Regions, owner: IntArray) -> Vector:
    """The largest values (R,) of linear forms on their regions, rounded up; ``inf`` where nothing finite is proved."""
    with np.errstate(over="ignore", invalid="ignore"):
        end = linear_maximum(pulled.coefficients, regions, owner) + pulled.constant
        margin = pulled.error + 4.0 * UNIT_ROUNDOFF * (np.abs(end) + np.abs(pulled.constant) + pulled.error)
        upper = end + margin + underflow(1, np.zeros(1))
    return np.where(np.isfinite(upper), upper, np.inf)


def backward_maximum(relaxation: Relaxation, rows: Rows, regions: Regions) -> Vector:
    """Upper bounds (R,) of the rows on their regions, rounded outward; ``inf`` where nothing finite is proved."""
    return upper_ends(upper_forms(relaxation, rows), regions, rows.owner)
