"""Refute a claim on one target: depth first over activation phases, one record per step, leaves checked before they are written.

The linear program of `search.relaxation` stands on the bounds that the judge has certified, so that its dual values are
values of the judge's rule; its multipliers become evidence (`sweep.Collector`) with as few bits as close the leaf. A
node that does not close is split, down to where every neuron is decided; what does not close even there ends the proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify.bounds.lagrangian import pull_back_priced
from wdaverify.proof.cost import ball_bound
from wdaverify.proof.evidence import Evidence
from wdaverify.proof.sweep import DEFAULT_BITS, Collector, Slopes, default_sweep
from wdaverify.search.inputs import InputSet
from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.tree import branch

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.program.backend import Backend
    from wdaverify.proof.context import Context
    from wdaverify.search.ceiling import Multipliers
    from wdaverify.search.question import Question
    from wdaverify.search.relaxation import Path

_BITS = (8, 14, 26, 44)
"""Fractional bits of slopes and multipliers, few first."""

NODES = 1 << 20
"""Programs that one target may cost."""

_SAFETY = 4.0
"""Factor on the errors of a float64 sweep."""

_ULP = 2.0**-48
"""Relative error of the sums outside the sweep."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What is refuted: that all rows of the question can be nonnegative at once in the context's area.

    Attributes
    ----------
    ids, side_ids
        The judge's number of each row, and of each row about inputs; ``None`` for one that it does not number.
    """

    question: Question
    ids: tuple[int, ...]
    side_ids: tuple[int | None, ...] = ()


class Refutation:
    """One search for a proof that no point of the area satisfies all rows.

    Parameters
    ----------
    emit
        Takes the records, in pre-order.
    """

    def __init__(self, context: Context, target: Target, backend: Backend, emit: Callable[[dict[str, Any]], None]) -> None:
        self._context, self._target, self._emit = context, target, emit
        self._compiled, self._charges = context.network.compiled, context.bounds.charges
        self._inputs = InputSet(context.area.regions)
        self._backend = backend
        self.leaves = 0

    def run(self, deadline: Deadline, nodes: int) -> bool:
        """Whether the proof is complete; at most `nodes` programs are solved."""
        if self._by_default():
            return True
        relaxation = PhaseRelaxation(
            self._backend, self._context.network, self._target.question, self._inputs, self._context.bounds
        )
        relaxation.aim(None)
        stack: list[Path] = [()]
        while stack:
            nodes -= 1
            if nodes < 0 or deadline.passed:
                return False
            path = stack.pop()
            relaxation.move(path)
            answer = relaxation.answer(0.0, deadline)
            if answer.multipliers is not None and self._close(path, answer.multipliers):
                continue
            if answer.failed:
                return False
            decision = branch(answer, relaxation.free, path)
            if decision == 0:
                return False
            neuron = abs(decision)
            self._emit({"t": "split", "n": neuron - 1})
            stack += [(*path, -neuron), (*path, neuron)]
        return True

    def _by_default(self) -> bool:
        """Close the whole area by one row and the judge's own slopes, if they are enough."""
        question, context = self._target.question, self._context
        slopes = Slopes.of(context.lower, context.upper)
        seeds = {self._compiled.output: question.rows}
        pulled = default_sweep(self._compiled, self._charges, seeds, slopes)
        values, balls = ball_bound(pulled.coefficients, context.area, DEFAULT_BITS)
        sizes = np.abs(values) + np.abs(pulled.constant) + np.abs(question.offsets)
        values = values + pulled.constant + question.offsets + _SAFETY * (pulled.error + _ULP * sizes)
        best = int(np.argmin(values))
        if not values[best] < 0.0:
            return False
        self._write(Evidence(rows={self._target.ids[best]: 1.0}, ball=float(balls[best])))
        return True

    def _close(self, path: Path, multipliers: Multipliers) -> bool:
        """Write a leaf that the multipliers prove, with as few bits as that takes; false if they do not."""
        scale = _power_of_two(multipliers)
        weights, side, wanted = (
            multipliers.weights * scale,
            multipliers.side * scale,
            np.where(self._context.bounds.unstable, multipliers.pi * scale, np.nan),
        )
        decided, lower, upper = np.zeros(len(wanted)), self._context.lower.copy(), self._context.upper.copy()
        for d in path:
            k = abs(d) - 1
            decided[k] = 1.0 if d > 0 else -1.0
            if d > 0:
                lower[k] = max(lower[k], 0.0)
            else:
                upper[k] = min(upper[k], 0.0)
        slopes = Slopes.of(lower, upper)
        for bits in _BITS:
            collector = Collector(slopes, decided, wanted, bits)
            rounded, rounded_side = (np.round(values * 2.0**bits) / 2.0**bits for values in (weights, side))
            if self._value(collector, rounded, rounded_side, bits) < 0.0:
                self._write(collector.evidence)
                return True
        return False

    def _value(self, collector: Collector, weights: Vector, side: Vector, bits: int) -> float:
        """What the collector's evidence and these weights of the rows prove of 0, from above."""
        question, evidence = self._target.question, collector.evidence
        seeds = {self._compiled.output: (weights @ question.rows)[None]}
        pulled = pull_back_priced(self._compiled, self._charges, seeds, collector.price)
        side = np.where([k is not None for k in self._target.side_ids], side, 0.0) if len(side) else side
        rows = [*zip(self._target.ids, weights, strict=True), *zip(self._target.side_ids, side, strict=True)]
        evidence.rows.update({k: float(w) for k, w in rows if w > 0 and k is not None})
        values, balls = ball_bound(pulled.coefficients + side @ question.side_rows, self._context.area, bits + 8)
        evidence.ball = float(balls[0])
        offset = float(weights @ question.offsets) + float(side @ question.side_offsets)
        size = abs(float(values[0])) + abs(float(pulled.constant[0])) + float(weights @ np.abs(question.offsets))
        size += float(side @ np.abs(question.side_offsets))
        value = float(values[0]) + float(pulled.constant[0]) + offset
        value += _SAFETY * (float(pulled.error[0]) + _ULP * size)
        return value if np.isfinite(value) else np.inf

    def _write(self, evidence: Evidence) -> None:
        self.leaves += 1
        self._emit({"t": "leaf", "k": "empty", **evidence.fields()})


def _power_of_two(multipliers: Multipliers) -> float:
    """The factor that brings the largest weight, or else the largest price, near 1."""
    largest = float(np.max(multipliers.weights, initial=0.0)) or float(np.max(np.abs(multipliers.pi), initial=0.0))
    return float(2.0 ** -np.frexp(largest)[1]) if largest > 0 and np.isfinite(largest) else 1.0
