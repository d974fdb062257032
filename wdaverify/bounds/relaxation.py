"""Linear relaxations of a network on a batch of regions: what the backward pass reads.

A ReLU with ``l <= z <= u`` satisfies, for any slope ``s`` in [0, 1],

    s z <= relu(z)                       and       relu(z) <= s z + max(-s l, (1 - s) u),

the second because ``relu(z) - s z`` is convex, hence largest at an end (Zhang et al., *Efficient neural network
robustness certification with general activation functions*, NeurIPS 2018, section 3). Any rounding of the slope is
therefore harmless; only the intercept is rounded, upward.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.bounds.concretise import as_tensor
from wdaverify.bounds.rounding import INFLATION, gamma, underflow

if TYPE_CHECKING:
    from torch import Tensor

    from wdaverify._types import Matrix, SparseMatrix
    from wdaverify.bounds.interval import Interval
    from wdaverify.domain import Regions
    from wdaverify.ir.network import Network
    from wdaverify.ir.ops import Affine

_DENSE_SHARE = 0.25
"""Matrices with a larger share of nonzeros are multiplied as dense ones."""

_SMALL = 4096
"""Matrices with at most so many entries are always dense: the call costs more than the product."""


@dataclass(frozen=True, slots=True, eq=False)
class CompiledAffine:
    """An affine op as the backward pass multiplies with it: rows ``A`` (P, size) become ``A M_k``.

    Parameters
    ----------
    factors
        Per source the dense matrix (size, size of source), or its sparse transpose.
    bias
        Shape (size,).
    terms
        The number of products in any one entry of ``A M_k`` or in ``A b``, at most.
    """

    factors: tuple[Tensor | SparseMatrix, ...]
    bias: Tensor
    terms: int

    @staticmethod
    def compile(op: Affine) -> CompiledAffine:
        """Choose dense or sparse per matrix."""
        counts = [int(np.bincount(m.indices, minlength=1).max()) for m in op.matrices]
        factors = tuple(torch.from_numpy(m.toarray()) if _dense(m) else m.T.tocsr() for m in op.matrices)
        return CompiledAffine(factors, as_tensor(op.bias), max([int(np.count_nonzero(op.bias)), *counts]))

    def pull_back(self, rows: Tensor) -> list[Tensor]:
        """``rows @ M_k`` for rows (B, R, size), one result (B, R, size of source k) per source."""
        flat = rows.reshape(-1, rows.shape[-1])
        results = []
        for factor in self.factors:
            product = flat @ factor if isinstance(factor, torch.Tensor) else torch.from_numpy((factor @ flat.numpy().T).T)
            results.append(product.reshape(*rows.shape[:2], -1))
        return results


@dataclass(frozen=True, slots=True, eq=False)
class AffineCharge:
    """What one backward step through an affine op may cost: ``|A| . vector + floor``, shapes (B, size) and (B, 1)."""

    vector: Tensor
    floor: Tensor

    @staticmethod
    def of(affine: CompiledAffine, magnitude: Matrix, sources: list[Interval]) -> AffineCharge:
        """``|(A' - A M) x + (c - A b)| <= gamma |A| (|M| |x| + |b|)``, with 2 more terms for rounded weights."""
        reach = sum((s.magnitude.sum(axis=1, keepdims=True) for s in sources), np.zeros((len(magnitude), 1)))
        with np.errstate(over="ignore"):
            return AffineCharge(
                as_tensor(gamma(affine.terms + 4) * magnitude * INFLATION), as_tensor(underflow(affine.terms, reach))
            )


@dataclass(frozen=True, slots=True, eq=False)
class ReluRelaxation:
    """``lower_slope z <= relu(z) <= upper_slope z + intercept`` per region and neuron, (B, size) each.

    The lower slopes are 0 or 1, so that multiplying with them is exact. The intercept also holds what the rounding of
    products with the upper slope, and of their sum, may cost; `floor` (B, 1) what underflow may.
    """

    lower_slope: Tensor
    upper_slope: Tensor
    intercept: Tensor
    floor: Tensor

    @staticmethod
    def of(source: Interval) -> ReluRelaxation:
        """The triangle's upper edge, and the lower slope that cuts off less area: 1 if ``u > -l``, else 0."""
        low, high = source.lower, source.upper
        active, inactive = low >= 0, (high <= 0) & ~(low >= 0)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            chord = np.where(np.isinf(high), 1.0, np.clip(high / (high - low), 0.0, 1.0))
            slope = np.where(active, 1.0, np.where(inactive, 0.0, chord))
            at_low = np.where(slope == 0, 0.0, -slope * low)
            at_high = np.where(slope == 1, 0.0, (1.0 - slope) * high)
            rounding = np.where(slope == 0, 0.0, 2.0 * UNIT_ROUNDOFF * slope * source.magnitude)
            # Two roundings of the intercept, one of the product A s z, and those of summing size products.
            intercept = (np.maximum(at_low, at_high) + rounding) * (1.0 + 8.0 * UNIT_ROUNDOFF + 2.0 * gamma(low.shape[1] + 4))
            intercept = np.where(active | inactive, 0.0, intercept)
            floor = underflow(low.shape[1], source.magnitude.sum(axis=1, keepdims=True))
        lower_slope = np.where(active | (~inactive & (high > -low)), 1.0, 0.0)
        return ReluRelaxation(as_tensor(lower_slope), as_tensor(slope), as_tensor(intercept), as_tensor(floor))

    def pull_back(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Replace ``rows . relu(z)`` (B, R, size) by its lower bound: coefficients of ``z``, and a constant (B, R)."""
        positive = rows.clamp(min=0.0)
        negative = rows - positive
        constant = torch.matmul(negative, self.intercept.unsqueeze(-1)).squeeze(-1) - self.floor
        # One of the two products is zero, so that the sum is exact.
        return (positive * self.lower_slope.unsqueeze(1)).addcmul_(negative, self.upper_slope.unsqueeze(1)), constant


@dataclass(frozen=True, eq=False)
class Relaxation:
    """The relaxations of all nodes bounded so far, on a batch of regions; grows node by node in topological order."""

    network: Network
    regions: Regions
    affines: dict[str, CompiledAffine]
    charges: dict[str, AffineCharge]
    relus: dict[str, ReluRelaxation]
    magnitudes: dict[str, Tensor]

    @staticmethod
    def empty(network: Network, regions: Regions) -> Relaxation:
        """Nothing bounded yet."""
        return Relaxation(network, regions, {}, {}, {}, {})

    def __getitem__(self, index: slice) -> Relaxation:
        """The same for some of the regions."""
        return Relaxation(
            self.network,
            self.regions[index],
            self.affines,
            {k: AffineCharge(c.vector[index], c.floor[index]) for k, c in self.charges.items()},
            {
                k: ReluRelaxation(r.lower_slope[index], r.upper_slope[index], r.intercept[index], r.floor[index])
                for k, r in self.relus.items()
            },
            {k: m[index] for k, m in self.magnitudes.items()},
        )

    @cached_property
    def widest(self) -> int:
        """Size of the largest node."""
        return max(self.network.size(name) for name in self.network.order)


def _dense(matrix: SparseMatrix) -> bool:
    entries = matrix.shape[0] * matrix.shape[1]
    return bool(entries <= _SMALL or matrix.nnz > _DENSE_SHARE * entries)
