"""Prices: ``g(x) - lambda ||x - x_i||^p <= s`` on the whole domain, for one margin g of one sample.

Points where that fails have a cutoff to beat, and so lie near the sample: the multiplier o of the cutoff's row in a rule for
``+-x_k`` narrows the box (x_k then is bounded by x_ik plus what g can rise, divided by lambda), intervals and linear bounds of
the smaller box are better, and the box shrinks again, until the tree takes over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify.proof.context import Context
from wdaverify.proof.cost import by_lines, largest, largest_power
from wdaverify.proof.leaves import BoundLeaves
from wdaverify.proof.numbers import outward, written
from wdaverify.proof.refutation import refuted
from wdaverify.proof.sweep import Slopes, default_sweep
from wdaverify.search.cost import CostTerm
from wdaverify.transport import round_up

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.proof.area import Area
    from wdaverify.proof.ledger import Emit
    from wdaverify.search.question import Question
    from wdaverify.transport import GroundCost

_ROUNDS = 6
"""Times that a box is narrowed."""

_WORTH = 0.5
"""An end of the box is stated if it moves by this part of the width."""

_GOES_ON = 0.3
"""Another round follows when the widths shrank by this part altogether."""

_FACTORS = (1.0, 1.25, 2.0, 4.0)
"""Multipliers of the cutoff's row, times 1 / lambda."""

_PIECES = 4096
"""Areas between whole numbers that one target may take."""

_BITS = 20
"""Significant bits of ends and multipliers."""


@dataclass(frozen=True, slots=True, eq=False)
class Price:
    """What is claimed of one sample.

    Attributes
    ----------
    area
        The domain, with the sample and the norm; for order inf the ball.
    rivals, offsets
        The targets: rows (J, K) of the logits, and what is added to each (J,).
    value
        s.
    ground, weight
        The cost and lambda.
    """

    network: Network
    area: Area
    rivals: Matrix
    value: float
    ground: GroundCost
    weight: float
    offsets: Vector | None = None


class PriceProof:
    """The proof of one price.

    Attributes
    ----------
    missed
        By how much the value seems too low, after a proof that failed.
    """

    def __init__(self, price: Price, backend: Backend, deadline: Deadline) -> None:
        self._price, self._backend, self._deadline, self.missed = price, backend, deadline, 0.0

    def run(self, emit: Emit) -> bool:
        """Whether all targets are proved, with records to `emit`."""
        price = self._price
        root = Context.of(price.network, price.area, emit)
        if len(price.rivals) > 1:
            emit({"t": "targets"})
        offsets = np.zeros(len(price.rivals)) if price.offsets is None else price.offsets
        return all(self.target(root, row, offset, emit) for row, offset in zip(price.rivals, offsets.tolist(), strict=True))

    def target(self, root: Context, row: Vector, offset: float, emit: Emit) -> bool:
        """Whether one target is proved; where the relaxation leaves whole features fractional, the area is split at them."""
        offsets = np.array([round_up(Fraction(offset) - Fraction(self._price.value))])
        stack: list[tuple[Context, Area | None]] = [(root, None)]
        for _ in range(_PIECES):
            if not stack:
                return True
            context, area = stack.pop()
            if area is not None:
                emit({"t": "refresh"})
                context = Context.of(self._price.network, area, emit, context)
            halves = self._piece(context, row[None], offsets, emit)
            if halves is None:
                return False
            stack += halves
        return not stack

    def _piece(self, context: Context, rows: Matrix, offsets: Vector, emit: Emit) -> list[tuple[Context, Area | None]] | None:
        """Close an area, which leaves nothing, or split it; ``None`` if neither can be done."""
        price = self._price
        if price.weight > 0:
            context = _narrowed(price, context, context.area.question(rows, offsets), emit)
        if context.area.empty:
            emit({"t": "leaf", "k": "empty"})
            return []
        leaves = BoundLeaves(context, context.area.question(rows, offsets), price.weight, price.ground.order)
        assert price.area.center is not None
        cost = CostTerm(price.area.center, price.ground, price.weight) if price.weight > 0 else None
        records: list[dict[str, Any]] = []
        if refuted(context, leaves, self._backend, records.append, self._deadline, cost=cost):
            for record in records:
                emit(record)
            return []
        self.missed, place = leaves.missed, context.area.fractional(leaves.point)
        if place is None:
            return None
        k, at = place
        emit({"t": "whole", "j": k, "at": at})
        parts = context.area.with_end("low", k, at + 1), context.area.with_end("high", k, at)
        return [(context, part) for part in parts if not part.empty]


def _narrowed(price: Price, root: Context, question: Question, emit: Emit) -> Context:
    """The part of the root where a point can beat the cutoff."""
    context = root
    for _ in range(_ROUNDS):
        leaves = BoundLeaves(context, question, price.weight, price.ground.order)
        if leaves.by_default() is not None:
            return context
        area = _smaller_box(price, context, question, emit)
        before, after = context.area.upper - context.area.lower, area.upper - area.lower
        if area is context.area:
            return context
        if area.empty:
            return replace(context, area=area)
        emit({"t": "refresh"})
        context = Context.of(price.network, area, emit, context)
        if after.sum() > (1.0 - _GOES_ON) * before.sum():
            return context
    return context


def _smaller_box(price: Price, context: Context, question: Question, emit: Emit) -> Area:
    """The box narrowed by the cutoff's row; the same area if that is not worth it."""
    area, n = context.area, price.network.inputs
    values, evidence = _coordinate_bounds(price, context, question)
    center = area.center
    assert center is not None
    low, high = list(area.low), list(area.high)
    for k in range(n):
        width = area.upper[k] - area.lower[k]
        record: dict[str, Any] = {"t": "bound", "x": k}
        for side, value, (multiplier, *line) in (("hi", values[k], evidence[k]), ("lo", values[n + k], evidence[n + k])):
            sign = 1 if side == "hi" else -1
            if not np.isfinite(value) or width == 0:
                continue
            # the box keeps the sample, where kappa is 0
            end = max(outward(Fraction(float(value)), _BITS, up=True), sign * Fraction(float(center[k])))
            if sign * (area.upper[k] if side == "hi" else area.lower[k]) - float(end) < _WORTH * width:
                continue
            record[side], record["e" + side] = written(sign * end), {"o": written(multiplier)}
            if line[0] > 0:
                record["e" + side]["young"] = [written(v) for v in line]
            if side == "hi":
                high[k] = min(high[k], end)
            else:
                low[k] = max(low[k], -end)
        if len(record) > 2:
            emit(record)
    return area if (low, high) == (list(area.low), list(area.high)) else replace(area, low=tuple(low), high=tuple(high))


def _coordinate_bounds(price: Price, context: Context, question: Question) -> tuple[Vector, Matrix]:
    """Upper bounds of ``x_k`` and of ``-x_k`` (2n,) where the cutoff is beaten, and what proves them.

    Returns
    -------
    bounds, evidence
        Evidence has shape (2n, 3): the cutoff's multiplier, and the line below the power, whose slope is 0 where none is needed.
    """
    area, n = context.area, price.network.inputs
    compiled, slopes = price.network.compiled, Slopes.of(context.lower, context.upper)
    pulled = default_sweep(compiled, context.bounds.charges, {compiled.output: question.rows}, slopes)
    units = np.concatenate([np.eye(n), -np.eye(n)])
    best, chosen = np.full(2 * n, np.inf), np.zeros((2 * n, 3))
    for factor in _FACTORS:
        mu = float(outward(Fraction(factor / price.weight), _BITS, up=True))
        forms = units + mu * pulled.coefficients
        weights, lines = np.full(2 * n, mu * price.weight), [np.zeros(2 * n), np.zeros(2 * n)]
        if by_lines(area.norm, price.ground.order):
            priced, *lines = largest_power(forms, area, weights, price.ground.order)
        else:
            priced = largest(forms, area, weights, price.ground.order)
        rest = mu * (float(pulled.constant[0]) + float(question.offsets[0]))
        error = mu * 4.0 * float(pulled.error[0]) + 2.0**-44 * (np.abs(priced) + abs(rest) + 1.0)
        values = priced + rest + error
        chosen = np.where((values < best)[:, None], np.column_stack([np.full(2 * n, mu), *lines]), chosen)
        best = np.minimum(best, values)
    return best, chosen
