"""Zonotopes that hold the gradient of a form of the logits on every activation cell of a node.

A node decides some phases and leaves others open. The backward pass multiplies the adjoint v of a ReLU's output by its phase
d, which is 1, 0, or open. With ``v`` in an interval [a, b] an open phase gives

    d v  =  q v + (d - q) v,       -(d - q) v  in  q [a, b] for d = 0,  (q - 1) [a, b] for d = 1,

so that with the slope ``q = 1/2`` every ``d v`` is ``v / 2 + xi max(|a|, |b|) / 2`` with ``xi`` in [-1, 1] (the relaxation of
Singh, Gehr, Mirman, Püschel and Vechev, *Fast and effective robustness certification*, NeurIPS 2018, on adjoints; for other
slopes the remainder is centred first). One symbol xi per open neuron: the gradient is ``m + sum_k xi_k g_k``, and the
correlations between its coordinates survive.

Rounding: every generator is a sum of products along paths through the network, so the sum of the sizes of all generators
stays below ``|W_1|^T ... |W_L|^T |c|`` (times the growth that slopes cause), and each step loses at most ``gamma`` of it. What
underflow takes is absolute, and later weights may be huge: it is pulled back beside the sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.rounding import INFLATION, LEAST, gamma
from wdaverify.ir.compiled import AffineStep, InputStep

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.ir.compiled import CompiledNetwork, Factor

_EXTRA = 12
"""Roundings of one step beside those of its products and of sums over symbols: halves, radii, sums of readers."""


@dataclass(frozen=True, slots=True, eq=False)
class Zonotopes:
    """One zonotope per row of a batch: ``generators[r, 0] + sum_k xi_k generators[r, k]``, every xi in [-1, 1].

    Attributes
    ----------
    generators
        Shape (R, S, n'); row 0 is the centre.
    neurons
        The open neuron of each symbol, shape (S,); -1 for the centre.
    low, high
        Bounds (R, neurons) of the adjoints of all ReLU outputs, up to rounding.
    """

    generators: Matrix
    neurons: IntArray
    low: Matrix
    high: Matrix


@dataclass(slots=True, eq=False)
class _Adjoint:
    """The adjoints of one slot: dense generators, fresh symbols that touch one neuron each, and an interval beside.

    Attributes
    ----------
    dense
        Shape (R, S, size).
    touched, reach
        The neurons (F,) of this slot with a fresh symbol, and the sizes (R, F) of the symbols.
    center, radius
        Shape (R, size): the interval of the plain backward pass.
    """

    dense: Matrix
    touched: IntArray
    reach: Matrix
    center: Matrix
    radius: Matrix

    def pulled(self, factor: Factor) -> tuple[Matrix, Matrix, Matrix]:
        """The generators, centre and radius after one matrix."""
        rows, symbols, size = self.dense.shape
        dense = factor.pull(self.dense.reshape(-1, size)).reshape(rows, symbols, -1)
        if len(self.touched):
            matrix = factor.matrix
            lines = matrix[self.touched] if isinstance(matrix, np.ndarray) else matrix[self.touched].toarray()
            dense = np.concatenate([dense, self.reach[:, :, None] * lines], axis=1)
        return dense, factor.pull(self.center), _sized(factor, self.radius)


def gradient_zonotopes(
    compiled: CompiledNetwork,
    forms: Matrix,
    phases: Matrix,
    coordinates: IntArray,
    slopes: Matrix | None = None,
) -> Zonotopes:
    """The zonotopes of a batch of (node, form) pairs, in float64; `lost_in_zonotopes` bounds what rounding loses.

    Parameters
    ----------
    forms
        Shape (R, K).
    phases
        Shape (R, neurons): 1 active, -1 inactive, 0 open.
    coordinates
        The input coordinates that count, shape (n',).
    slopes
        Shape (R, neurons), each in [0, 1]; 1/2 everywhere by default.
    """
    zeros = np.zeros_like(forms)
    pending = {compiled.output: _Adjoint(forms[:, None, :], _NONE, np.zeros((len(forms), 0)), forms, zeros)}
    symbols: list[IntArray] = [np.array([-1])]
    adjoint_low, adjoint_high = np.zeros((2, *phases.shape))
    for step in reversed(compiled.steps):
        adjoint = pending.pop(step.slot, None)
        if adjoint is None:
            continue
        if isinstance(step, InputStep):
            generators = np.ascontiguousarray(_materialised(adjoint)[:, :, coordinates])
            return Zonotopes(generators, np.concatenate(symbols), adjoint_low, adjoint_high)
        if isinstance(step, AffineStep):
            for source, factor in zip(step.sources, step.factors, strict=True):
                dense, center, radius = adjoint.pulled(factor)
                _add(pending, source, _Adjoint(dense, _NONE, np.zeros((len(dense), 0)), center, radius))
        else:
            n, known = step.neurons, sum(map(len, symbols))
            generators = _padded(_materialised(adjoint), known)
            low, high = adjoint_low[:, n], adjoint_high[:, n] = _interval(generators, adjoint)
            relaxed = _through_relu(generators, low, high, phases[:, n], None if slopes is None else slopes[:, n])
            symbols.append(step.first + relaxed.touched)
            _add(pending, step.source, relaxed)
    return Zonotopes(np.zeros((len(forms), 1, len(coordinates))), np.array([-1]), adjoint_low, adjoint_high)


_NONE = np.zeros(0, dtype=np.int64)


def _interval(generators: Matrix, adjoint: _Adjoint) -> tuple[Matrix, Matrix]:
    """The adjoints lie in the interval of the zonotope and in that of the plain pass."""
    spread = np.abs(generators[:, 1:]).sum(axis=1)
    low = np.maximum(generators[:, 0] - spread, adjoint.center - adjoint.radius)
    high = np.minimum(generators[:, 0] + spread, adjoint.center + adjoint.radius)
    return np.minimum(low, high), np.maximum(low, high)  # they cross by rounding only


def _through_relu(generators: Matrix, low: Matrix, high: Matrix, phases: Matrix, slopes: Matrix | None) -> _Adjoint:
    """The adjoints of a ReLU layer's inputs from those of its outputs, with a symbol for every neuron that is open somewhere."""
    is_open, active = phases == 0, phases > 0
    q = 0.5 if slopes is None else slopes
    dense = generators * np.where(is_open, q, active)[:, None, :]
    if slopes is None:
        reach = 0.5 * np.maximum(np.abs(low), np.abs(high))
    else:
        least, most = np.minimum(-q * high, (1.0 - q) * low), np.maximum(-q * low, (1.0 - q) * high)
        dense[:, 0] += np.where(is_open, 0.5 * (least + most), 0.0)
        reach = 0.5 * (most - least)
    fresh = np.flatnonzero(is_open.any(axis=0))
    least = np.where(active, low, np.where(is_open, np.minimum(low, 0.0), 0.0))
    most = np.where(active, high, np.where(is_open, np.maximum(high, 0.0), 0.0))
    reach = np.where(is_open, reach, 0.0)[:, fresh]
    return _Adjoint(dense, fresh, reach, 0.5 * (least + most), 0.5 * (most - least))


def _add(pending: dict[int, _Adjoint], slot: int, more: _Adjoint) -> None:
    """Add the adjoint of one more reader."""
    if slot not in pending:
        pending[slot] = more
        return
    old = pending[slot]
    first, second = _materialised(old), _materialised(more)
    width = max(first.shape[1], second.shape[1])
    dense = _padded(first, width) + _padded(second, width)
    none = np.zeros((len(dense), 0))
    pending[slot] = _Adjoint(dense, _NONE, none, old.center + more.center, old.radius + more.radius)


def _materialised(adjoint: _Adjoint) -> Matrix:
    """All generators as dense rows."""
    if not len(adjoint.touched):
        return adjoint.dense
    rows, fresh = adjoint.reach.shape
    block = np.zeros((rows, fresh, adjoint.dense.shape[2]))
    block[:, np.arange(fresh), adjoint.touched] = adjoint.reach
    return np.concatenate([adjoint.dense, block], axis=1)


def _padded(generators: Matrix, symbols: int) -> Matrix:
    """With zero rows for the symbols that this slot does not know."""
    rows, known, size = generators.shape
    if known == symbols:
        return generators
    return np.concatenate([generators, np.zeros((rows, symbols - known, size))], axis=1)


def _sized(factor: Factor, rows: Matrix) -> Matrix:
    """``rows @ |M|``."""
    if isinstance(factor.sizes, np.ndarray):
        return rows @ factor.sizes
    product: Matrix = np.ascontiguousarray((factor.sizes.T @ rows.T).T)
    return product


def lost_in_zonotopes(
    compiled: CompiledNetwork, forms: Matrix, dead: BoolArray, coordinates: IntArray, *, sloped: bool
) -> Vector:
    """How far, per input coordinate, any computed zonotope may be from one that holds the true gradients: shape (T, n').

    Parameters
    ----------
    forms
        Shape (T, K).
    dead
        The neurons (neurons,) that are inactive on every node.
    sloped
        Whether slopes other than 1/2 are used, by which the sizes may double at each ReLU.
    """
    pending = {compiled.output: np.stack([np.abs(forms), np.zeros_like(forms)])}  # sizes, and what underflow took of them
    relative, symbols = gamma(_EXTRA), 1
    sizes, taken = np.zeros((2, len(forms), len(coordinates)))
    for step in reversed(compiled.steps):
        both = pending.pop(step.slot, None)
        if both is None:
            continue
        if isinstance(step, InputStep):
            sizes, taken = both[:, :, coordinates]
        elif isinstance(step, AffineStep):
            relative = (1.0 + relative) * (1.0 + gamma(step.terms + _EXTRA)) - 1.0
            # every product may underflow, in every symbol, and a subnormal weight be half an ulp away from the exact one
            least = LEAST * ((step.terms + _EXTRA) * (symbols + 4.0) + both[0].sum(axis=1)[:, None])
            for source, factor in zip(step.sources, step.factors, strict=True):
                pulled = np.stack([_sized(factor, both[0]), _sized(factor, both[1]) + least])
                pending[source] = pending.get(source, 0.0) + pulled
        else:
            alive = ~dead[step.neurons]
            relative = (1.0 + relative) * (1.0 + gamma(symbols + _EXTRA)) - 1.0
            symbols += int(alive.sum())
            both[1] += LEAST * (symbols + _EXTRA)
            kept = np.where(alive, both * (2.0 if sloped else 1.0), 0.0)
            pending[step.source] = pending.get(step.source, 0.0) + kept
    return np.asarray((sizes * relative + taken * (1.0 + relative) + LEAST * (1.0 + sizes)) * INFLATION)
