"""Ascend the smallest of several linear functions of the logits over a box: points that may satisfy a property.

Projected sign steps of decaying size from the best of many random points, all in one batch; the best iterate of each start is
kept, not the last. Gradients are one backward pass through the compiled network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir.compiled import AffineStep, InputStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Matrix, Vector
    from wdaverify.domain import Box
    from wdaverify.ir.compiled import CompiledNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How hard to try.

    Attributes
    ----------
    samples
        Random points, of which the best are starts: the centre, vertices (a quarter) and uniform ones.
    starts, steps
        Walks, and the steps of each.
    rate, decay
        Length of the first step relative to the width of the box, and the factor from step to step.
    """

    samples: int = 64
    starts: int = 64
    steps: int = 60
    rate: float = 0.5
    decay: float = 0.93


def ascend(compiled: CompiledNetwork, rows: Matrix, offsets: Vector, box: Box, *, effort: Effort, seed: int = 0) -> Matrix:
    """Return candidate points for ``min_r (rows f(x) + offsets)_r >= 0``, the most promising first.

    Parameters
    ----------
    rows, offsets
        Shapes (R, K) and (R,).
    box
        A bounded box of the network's dimension; every candidate lies in it.

    Returns
    -------
    Matrix
        Shape (candidates, n). Nothing is promised about them: check before use.
    """
    rng = np.random.default_rng(seed)
    fractions = rng.uniform(size=(effort.samples, compiled.inputs))
    fractions[: effort.samples // 4] = np.round(fractions[: effort.samples // 4])
    fractions[0] = 0.5
    widths = box.upper - box.lower
    x = box.clip(box.lower + widths * fractions)
    if effort.starts < effort.samples:
        least = (compiled.forward(x) @ rows.T + offsets).min(axis=1)
        x = x[np.argsort(-least, kind="stable")[: effort.starts]]
    best, best_value = x.copy(), np.full(len(x), -np.inf)
    size = effort.rate * widths
    for step in range(effort.steps + 1):
        values = compiled.trace(x)
        levels = values[compiled.output] @ rows.T + offsets
        chosen = np.argmin(levels, axis=1)
        value = levels[np.arange(len(x)), chosen]
        better = value > best_value
        best[better], best_value[better] = x[better], value[better]
        if step == effort.steps or (best_value > 0).any():
            break
        x = box.clip(x + size * np.sign(gradients(compiled, values, rows[chosen])))
        size = size * effort.decay
    return best[np.argsort(-best_value, kind="stable")]


def gradients(compiled: CompiledNetwork, values: Sequence[Matrix], seeds: Matrix) -> Matrix:
    """The gradients (N, n) of ``seeds[i] . f`` at the points whose slots have `values` (`CompiledNetwork.trace`).

    At a kink the inactive side is taken.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input
    >>> double = Affine((csr_array(np.array([[2.0]])),), np.zeros(1))
    >>> compiled = Network.from_nodes({"x": Node(Input(1)), "y": Node(double, ("x",))}, "y").compiled
    >>> gradients(compiled, compiled.trace(np.ones((1, 1))), np.array([[3.0]])).tolist()
    [[6.0]]
    """
    pending: dict[int, Matrix] = {compiled.output: seeds}
    for step in reversed(compiled.steps):
        rows = pending.pop(step.slot, None)
        if rows is None:
            continue
        if isinstance(step, InputStep):
            return rows
        if isinstance(step, AffineStep):
            pulled = [(s, f.pull(rows)) for s, f in zip(step.sources, step.factors, strict=True)]
        else:
            pulled = [(step.source, np.where(values[step.slot] > 0, rows, 0.0))]
        for slot, more in pulled:
            pending[slot] = pending[slot] + more if slot in pending else more
    return np.zeros((len(seeds), compiled.inputs))
