"""Prove a claim on one target by halving boxes of inputs, where they are few.

A box first gets the linear bounds of its neurons by the judge's own default slopes, then a short search over phases
(`refutation`). A search that is going to need more leaves than bounding two halves would cost is broken off, and the box is
halved across the input that the relaxation loses most by (`search.blame`). So boxes stay large, their bounds few, and a
box's leaves many: a record that bounds a neuron costs the judge a sweep, as a leaf does.

Depth first, one box in memory. Of a box that is broken off nothing is written but the cut: its halves bound nearly all
neurons anew. Of a box that is closed only those bounds are written that its leaves need (`needed`).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.lagrangian import Prices, pull_back_priced
from wdaverify.proof.leaves import EmptyLeaves
from wdaverify.proof.needed import Thrift
from wdaverify.proof.numbers import written
from wdaverify.proof.refutation import NODES, PhaseWalk
from wdaverify.proof.sweep import Slopes, default_sweep
from wdaverify.search.blame import blame, split_dimension

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix
    from wdaverify.ir.compiled import ReluStep
    from wdaverify.program.backend import Backend
    from wdaverify.proof.context import Context
    from wdaverify.proof.leaves import Record, Target
    from wdaverify.proof.ledger import Emit
    from wdaverify.search.ceiling import Multipliers

_LEAST_LEAVES = 64
"""Leaves that every box may have."""

_SAMPLE = 12
"""Programs after which a search is judged by what its leaves close."""

_RECENT = 16
"""The last leaves, of whose shares of the tree it is judged how many more the rest will take: the first ones are larger."""

_DOUBT = 2.0
"""Factor by which that estimate may exceed what is allowed."""

_BUDGETS = (0.8, 0.4, 0.1)
"""Parts of their slack that leaves may lose, so that fewer bounds are written."""

_DOUBLING = 8
"""Halvings after which a box may have twice the leaves: where halving does not help, phases must."""

_HOPE = 2.0**-20
"""Part of the size of the rows by which a program's ceiling may exceed 0 for the node to be worth a try."""

_CUT_BITS = 8
"""Halves are equal up to this power of two, so that their ends have few digits."""


def refuted_by_halving(
    context: Context, target: Target, backend: Backend, emit: Emit, deadline: Deadline, *, nodes: int = NODES
) -> bool:
    """Whether a proof is complete, with its records to `emit` in pre-order.

    Parameters
    ----------
    context
        The root, of which everything is recorded.
    target
        Its rows are shown to contradict each other on every box.
    nodes
        Programs that may be solved.
    """
    question, magnitudes = target.question, context.bounds.charges.magnitudes
    hope = _HOPE * float(np.max(np.abs(question.rows) @ magnitudes[context.network.compiled.output], initial=0.0))
    stack = [(context.area, 0)]
    while stack:
        area, depth = stack.pop()
        bounds: list[Record] = []
        here = context if depth == 0 else context.narrowed(area, bounds.append)
        tree: list[Record] = []
        leaves = EmptyLeaves(here, target)
        record = leaves.by_default() if depth == 0 else None
        if record is not None:
            emit(record)
            continue
        walk = PhaseWalk(here, leaves, backend, hope=hope, keep=True)
        done = _short(walk, here, depth, tree, deadline, nodes)
        nodes -= walk.programs
        if done:
            for one in _thrifty(context, here, target, walk, [*bounds, *tree]) if bounds else tree:
                emit(one)
            continue
        cut = _cut(here, target, walk.first)
        if cut is None or nodes <= 0 or deadline.passed:
            return False
        j, at = cut
        emit({"t": "input", "j": j, "at": written(at)})
        below, above = area.halves(j, at)
        stack += [(above, depth + 1), (below, depth + 1)]
    return True


def _short(walk: PhaseWalk, context: Context, depth: int, records: list[Record], deadline: Deadline, nodes: int) -> bool:
    """Whether a search over phases ends with few leaves; its records."""
    # what two halves would cost is about a bound of either end of each neuron that is undecided here
    most = max(_LEAST_LEAVES, int(context.bounds.unstable.sum())) << (depth // _DOUBLING)

    def enough() -> bool:
        if walk.programs < _SAMPLE:
            return walk.programs >= nodes
        recent = walk.closings[-_RECENT:]
        share = sum(2.0 ** -len(path) for path, _ in recent) / max(1, len(recent))
        waiting = (1.0 - walk.share) / share if share > 0 else np.inf
        return walk.closed + waiting > _DOUBT * most or walk.programs >= nodes

    return walk.run(records.append, deadline, enough)


def _thrifty(known: Context, here: Context, target: Target, walk: PhaseWalk, records: list[Record]) -> list[Record]:
    """The records of a box without the bounds that its leaves can do without."""
    thrift = Thrift(known, here, target.question, walk.closings)
    for budget in _BUDGETS:
        wanted = thrift.chosen(budget)
        if wanted is None:
            break
        fewer: list[Record] = []
        leaves, closings = EmptyLeaves(known.narrowed(here.area, fewer.append, wanted), target), iter(thrift.closings)
        for record in records:
            found = record if record["t"] == "split" else leaves.close(*next(closings)) if record["t"] == "leaf" else None
            if found is not None:
                fewer.append(found)
        if sum(record["t"] == "leaf" for record in fewer) == len(thrift.closings):
            return fewer
    return records


def _cut(context: Context, target: Target, multipliers: Multipliers | None) -> tuple[int, Fraction] | None:
    """The input to halve, and where; ``None`` if no float lies inside."""
    area, compiled = context.area, context.network.compiled
    widths = area.upper - area.lower
    scores, slopes = np.zeros((1, compiled.inputs)), np.zeros((1, compiled.inputs))
    if multipliers is not None:
        adjoints, slopes = _adjoints(context, target, multipliers)
        lower, upper = context.lower, context.upper
        height = np.where(context.bounds.unstable, -lower * upper / np.where(upper > lower, upper - lower, 1.0), 0.0)
        scores = blame(adjoints, height[None], _reach(context)[None], widths[None])
    chosen, middle = split_dimension(scores, slopes, area.lower[None], area.upper[None])
    j = int(chosen[0])
    if j < 0:
        return None
    unit = float(np.ldexp(1.0, int(np.frexp(widths[j])[1]) - _CUT_BITS))
    for at in (round(float(middle[0, j]) / unit) * unit, float(middle[0, j])):
        if area.low[j] < Fraction(at) < area.high[j]:
            return j, Fraction(at)
    return None


def _adjoints(context: Context, target: Target, multipliers: Multipliers) -> tuple[Matrix, Matrix]:
    """How much each neuron's output counts in the form that the multipliers make, (1, neurons), and its slopes (1, n)."""
    compiled, bounds = context.network.compiled, context.bounds
    adjoints, nothing = np.zeros((1, compiled.neurons)), np.zeros(1)
    passing = (context.lower >= 0).astype(np.float64)

    def price(step: ReluStep, rows: Matrix) -> Prices:
        n = step.neurons
        adjoints[:, n] = rows
        return Prices(np.where(bounds.unstable[n], multipliers.pi[n], rows * passing[n]), nothing, nothing)

    seeds = {compiled.output: (multipliers.weights @ target.question.rows)[None]}
    return adjoints, pull_back_priced(compiled, bounds.charges, seeds, price).coefficients


def _reach(context: Context) -> Matrix:
    """The size of each undecided neuron's slope in each input, from its two linear bounds, (neurons, n); else 0."""
    compiled, slopes = context.network.compiled, Slopes.of(context.lower, context.upper)
    found = np.zeros((compiled.neurons, compiled.inputs))
    for step in compiled.relus:
        open_ = np.flatnonzero(context.bounds.unstable[step.neurons])
        units = np.eye(step.size)[open_]
        seeds = {step.source: np.concatenate([units, -units])}
        forms = np.abs(default_sweep(compiled, context.bounds.charges, seeds, slopes).coefficients)
        found[step.first + open_] = forms[: len(open_)] + forms[len(open_) :]
    return found
