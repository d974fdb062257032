"""Check what was proposed to close boxes: one rigorous bound per proposal, all of them in one pass.

A proposal consists of multipliers pi for unstable neurons, weights w of the rows of a group, and phases, which stand as
``l = 0`` or ``u = 0``. The bound of ``w . g`` is that of `bounds.lagrangian` on the exact network. Whatever pi and ``w >= 0``
are, it is below 0 only if no point of the box with these phases has ``g >= 0`` in all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.backward import upper_ends
from wdaverify.bounds.lagrangian import Pulled, pull_back
from wdaverify.bounds.rounding import gamma, underflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.bounds.boxes import Boxes, Origin
    from wdaverify.ir.compiled import ReluStep
    from wdaverify.search.row_groups import RowGroups


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """Why a node of a box may be closed.

    Attributes
    ----------
    box
        The number of the box.
    neurons
        The neurons that were unstable there, shape (m,).
    multipliers, phases
        Shape (m,); a phase is 1 for active, -1 for inactive, 0 for both.
    weights
        Nonnegative weights (R,) of all rows.
    """

    box: int
    neurons: IntArray
    multipliers: Vector
    phases: Vector
    weights: Vector


def refuted(origin: Origin, boxes: Boxes, goals: RowGroups, proposals: Sequence[Proposal]) -> BoolArray:
    """Which proposals close their node, rigorously."""
    if not proposals:
        return np.zeros(0, dtype=bool)
    owner = np.array([p.box for p in proposals], dtype=np.int64)
    weights = np.array([p.weights for p in proposals])
    low, high = boxes.low[owner], boxes.high[owner]
    stable_on = (low >= 0).astype(np.float64)
    given = np.full(low.shape, np.nan)
    for row, proposal in enumerate(proposals):
        given[row, proposal.neurons] = proposal.multipliers
        low[row, proposal.neurons[proposal.phases > 0]] = 0.0
        high[row, proposal.neurons[proposal.phases < 0]] = 0.0

    def choose(step: ReluStep, adjoints: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        own = step.neurons
        pi = np.where(np.isnan(given[:, own]), adjoints * stable_on[:, own], given[:, own])
        return pi, low[:, own], high[:, own]

    with np.errstate(over="ignore", invalid="ignore"):
        pulled = pull_back(origin.compiled, origin.charges, {origin.compiled.output: weights @ goals.rows}, choose)
        constant = pulled.constant + weights @ goals.offsets
        # the seed is a sum of products, the constant another
        size = (weights @ np.abs(goals.rows)) @ origin.charges.magnitudes[origin.compiled.output]
        size = size + weights @ np.abs(goals.offsets) + np.abs(constant)
        reach = origin.charges.magnitudes[origin.compiled.output].sum(keepdims=True)
        error = pulled.error + 2.0 * gamma(weights.shape[1] + 4) * size + underflow(weights.shape[1] + 4, reach)
    ends = upper_ends(Pulled(pulled.coefficients, constant, error), boxes.regions, owner)
    valid = (weights >= 0).all(axis=1)
    return np.asarray(valid & (ends < 0.0))
