"""Interval arithmetic through the graph, rounded outward: rigorous, cheap, loose in depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify._errors import DomainError
from wdaverify.bounds.layer_bounds import LayerBounds, pre_activations
from wdaverify.bounds.rounding import INFLATION, gamma, outward, underflow
from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, Matrix, SparseMatrix
    from wdaverify.domain import Regions
    from wdaverify.ir.network import Network


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """Ends (B, size) between which the vector of a node lies."""

    lower: Matrix
    upper: Matrix

    @property
    def magnitude(self) -> Matrix:
        """An upper bound of the absolute values, (B, size)."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper))

    def intersect(self, lower: Matrix, upper: Matrix) -> Interval:
        """The part between two more ends."""
        return Interval(np.maximum(self.lower, lower), np.minimum(self.upper, upper))

    def relu(self) -> Interval:
        """The image under ``max(0, .)``, which is exact."""
        return Interval(np.maximum(self.lower, 0.0), np.maximum(self.upper, 0.0))


def interval_bounds(network: Network, regions: Regions) -> LayerBounds:
    """Bound every pre-activation and the output by interval arithmetic on the box of each region.

    Proved in real arithmetic over the exact weights: every end is moved outward by the error bound of `bounds.rounding`.

    Parameters
    ----------
    regions
        B regions in R^n; of a ball only its box is used. Infinite ends give infinite bounds where they matter.

    Raises
    ------
    DomainError
        If the regions have another number of coordinates than the network has inputs.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.domain import Box, Regions
    >>> from wdaverify.ir.network import Network, Node
    >>> row = Affine((csr_array(np.array([[1.0, -2.0]])),), np.array([0.5]))
    >>> network = Network.from_nodes({"x": Node(Input(2)), "y": Node(row, ("x",))}, "y")
    >>> bounds = interval_bounds(network, Regions.of_box(Box(0, 1), 2))
    >>> bounds.lower["y"].round(9).tolist(), bounds.upper["y"].round(9).tolist()
    ([[-1.5]], [[1.5]])
    """
    intervals = node_intervals(network, regions)
    names = [name for name in network.order if name in pre_activations(network) | {network.output}]
    lower, upper = {name: intervals[name].lower for name in names}, {name: intervals[name].upper for name in names}
    return LayerBounds(lower, upper, network.output)


def node_intervals(network: Network, regions: Regions) -> dict[str, Interval]:
    """The interval of every node, by name, on the box of each region."""
    intervals: dict[str, Interval] = {}
    for name in network.order:
        op = network.op(name)
        sources = [intervals[source] for source in network.sources(name)]
        if isinstance(op, Input):
            intervals[name] = input_interval(network, regions)
        elif isinstance(op, Affine):
            intervals[name] = affine_interval(op, sources, batch=regions.count)[0]
        else:
            intervals[name] = sources[0].relu()
    return intervals


def input_interval(network: Network, regions: Regions) -> Interval:
    """The box of each region, checked for its number of coordinates."""
    if regions.lower.ndim != 2 or regions.lower.shape[1] != network.inputs:
        raise DomainError(
            f"regions of shape {regions.lower.shape}: the network has {network.inputs} inputs, give (B, {network.inputs})"
        )
    return Interval(regions.lower, regions.upper)


def affine_interval(op: Affine, sources: Sequence[Interval], *, batch: int) -> tuple[Interval, Matrix]:
    """Bound ``y = sum_k M_k x_k + b`` for sources in intervals.

    With ``M = M+ + M-`` split by sign, ``y >= M+ lower + M- upper + b`` and likewise above (Moore, *Interval Analysis*).

    Returns
    -------
    interval, magnitude
        The rigorous ends, and an upper bound (B, size) of ``sum_k |M_k| |x_k| + |b|``, with which rounding is charged.
    """
    lower, upper, magnitude = (np.broadcast_to(v, (batch, op.size)).copy() for v in (op.bias, op.bias, np.abs(op.bias)))
    open_below, open_above = np.zeros((2, batch, op.size), dtype=bool)
    reach = np.zeros((batch, 1))
    terms = sum(_longest_row(matrix) for matrix in op.matrices) + 2
    with np.errstate(over="ignore", invalid="ignore"):
        for matrix, source in zip(op.matrices, sources, strict=True):
            positive, negative = _signed(matrix, 1.0), _signed(matrix, -1.0)
            low, high = _finite(source.lower), _finite(source.upper)
            lower += _apply(positive, low) - _apply(negative, high)
            upper += _apply(positive, high) - _apply(negative, low)
            size = np.maximum(np.abs(low), np.abs(high))
            magnitude += _apply(abs(matrix), size)
            reach += size.sum(axis=1, keepdims=True)
            open_below |= _meets(positive, np.isinf(source.lower)) | _meets(negative, np.isinf(source.upper))
            open_above |= _meets(positive, np.isinf(source.upper)) | _meets(negative, np.isinf(source.lower))
        # The half ulp of a subnormal coefficient is absolute, not relative: its share of the magnitude is the last term.
        magnitude = (magnitude + underflow(terms, reach)) * INFLATION
        lower, upper = outward(lower, upper, gamma(terms + 4) * magnitude + underflow(terms, np.zeros(1)))
    infinite = open_below | open_above
    interval = Interval(np.where(open_below, -np.inf, lower), np.where(open_above, np.inf, upper))
    return interval, np.where(infinite, np.inf, magnitude)


def _signed(matrix: SparseMatrix, sign: float) -> SparseMatrix:
    """The entries of one sign, as nonnegative numbers; the others vanish from the pattern."""
    part = matrix.copy()
    part.data = np.maximum(sign * matrix.data, 0.0)
    part.eliminate_zeros()
    return part


def _finite(end: Matrix) -> Matrix:
    return np.where(np.isfinite(end), end, 0.0)


def _apply(matrix: SparseMatrix, rows: Matrix) -> Matrix:
    """``rows @ matrix.T`` for a sparse matrix."""
    product: Matrix = np.ascontiguousarray((matrix @ rows.T).T)
    return product


def _meets(matrix: SparseMatrix, flags: BoolArray) -> BoolArray:
    """Which results read a flagged entry with a nonzero coefficient."""
    if not flags.any():
        return np.zeros((len(flags), matrix.shape[0]), dtype=bool)
    pattern: Any = matrix.astype(bool).astype(np.float64)
    return np.asarray(_apply(pattern, flags.astype(np.float64)) > 0)


def _longest_row(matrix: SparseMatrix) -> int:
    return int(np.diff(matrix.indptr).max(initial=0))
