"""How a node is closed: multipliers become evidence, with as few bits as the rule needs, and are checked before they are written.

* *empty*: nonnegative weights of rows, multipliers of rows about inputs and of the ball prove ``0 < 0``.
* *bound*: the rule bounds ``g - lambda kappa`` by the value of the claim; the leaf states no value of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify._types import Norm
from wdaverify.bounds.lagrangian import pull_back_priced
from wdaverify.proof.cost import along_vector, ball_bound, by_lines, euclidean_vector, largest, largest_power
from wdaverify.proof.evidence import Evidence
from wdaverify.proof.sweep import DEFAULT_BITS, Collector, Slopes, default_sweep

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.proof.context import Context
    from wdaverify.search.ceiling import Multipliers
    from wdaverify.search.question import Question
    from wdaverify.search.relaxation import Path

Record = dict[str, Any]

_BITS = (8, 14, 26, 44)
"""Fractional bits of slopes and multipliers, few first."""

_SAFETY = 4.0
"""Factor on the errors of a float64 sweep."""

_ULP = 2.0**-48
"""Relative error of the sums outside the sweep."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Rows of a question that cannot all be nonnegative at once.

    Attributes
    ----------
    ids, side_ids
        The judge's number of each row, and of each row about inputs; ``None`` for one that it does not number.
    facts
        How many rows about inputs are the domain's, numbered from 0; `side_ids` is then empty.
    """

    question: Question
    ids: tuple[int, ...]
    side_ids: tuple[int | None, ...] = ()
    facts: int = 0


def node_slopes(context: Context, path: Path) -> tuple[Slopes, Vector]:
    """Bounds and default slopes at a node, and the decided phases: 1, -1 or 0, shape (neurons,)."""
    lower, upper = context.lower.copy(), context.upper.copy()
    decided = np.zeros(len(lower))
    for d in path:
        k = abs(d) - 1
        decided[k] = 1.0 if d > 0 else -1.0
        if d > 0:
            lower[k] = max(lower[k], 0.0)
        else:
            upper[k] = min(upper[k], 0.0)
    return Slopes.of(lower, upper), decided


class EmptyLeaves:
    """Closes nodes where the rows of a target contradict each other.

    Attributes
    ----------
    missed
        What the goal reaches, from above, at a node where every neuron is decided and that cannot be closed.
    point
        Of the relaxation there (n,), if it has one.
    """

    goal: int | None = None
    """The relaxation is aimed at the least of all rows."""

    def __init__(self, context: Context, target: Target) -> None:
        self.missed = 0.0
        self.question = target.question
        self.point: Vector | None = None
        self._context, self._target = context, target
        self._compiled, self._charges = context.network.compiled, context.bounds.charges

    def by_default(self) -> Record | None:
        """A leaf for the whole area, by one row and the judge's own slopes."""
        question, context = self.question, self._context
        seeds = {self._compiled.output: question.rows}
        pulled = default_sweep(self._compiled, self._charges, seeds, Slopes.of(context.lower, context.upper))
        values, balls = ball_bound(pulled.coefficients, context.area, DEFAULT_BITS)
        sizes = np.abs(values) + np.abs(pulled.constant) + np.abs(question.offsets)
        values = values + pulled.constant + question.offsets + _SAFETY * (pulled.error + _ULP * sizes)
        best = int(np.argmin(values))
        if not values[best] < 0.0:
            return None
        return _leaf("empty", Evidence(rows={self._target.ids[best]: 1.0}, ball=float(balls[best])))

    def close(self, path: Path, multipliers: Multipliers) -> Record | None:
        """A leaf that the multipliers prove at a node, ``None`` if they do not."""
        scale = _power_of_two(multipliers)
        weights, side, wanted = multipliers.weights * scale, multipliers.side * scale, multipliers.pi * scale
        slopes, decided = node_slopes(self._context, path)
        wanted = np.where(self._context.bounds.unstable | (decided != 0), wanted, np.nan)
        for bits in _BITS:
            collector = Collector(slopes, decided, wanted, bits)
            if self._value(collector, _rounded(weights, bits), _rounded(side, bits), bits) < 0.0:
                return _leaf("empty", collector.evidence)
        return None

    def _value(self, collector: Collector, weights: Vector, side: Vector, bits: int) -> float:
        """What the collector's evidence and these weights of the rows prove of 0, from above."""
        question, evidence = self.question, collector.evidence
        seeds = {self._compiled.output: (weights @ question.rows)[None]}
        pulled = pull_back_priced(self._compiled, self._charges, seeds, collector.price)
        ids = self._target.side_ids or (None,) * len(side)
        rows = [*zip(self._target.ids, weights, strict=True), *zip(ids, side, strict=True)]
        evidence.facts.update({k: float(w) for k, w in enumerate(side[: self._target.facts]) if w > 0})
        used = [k is not None or i < self._target.facts for i, k in enumerate(ids)]
        side = np.where(used, side, 0.0) if len(side) else side
        evidence.rows.update({k: float(w) for k, w in rows if w > 0 and k is not None})
        values, balls = ball_bound(pulled.coefficients + side @ question.side_rows, self._context.area, bits + 8)
        evidence.ball = float(balls[0])
        offsets = np.concatenate([weights * question.offsets, side * question.side_offsets])
        size = abs(float(values[0])) + abs(float(pulled.constant[0])) + float(np.abs(offsets).sum())
        value = float(values[0]) + float(pulled.constant[0]) + float(offsets.sum())
        value += _SAFETY * (float(pulled.error[0]) + _ULP * size)
        return value if np.isfinite(value) else np.inf


class BoundLeaves:
    """Closes nodes where a form of the logits, less a price on the distance from the sample, is at most a value.

    Parameters
    ----------
    question
        One row, which is the form, with the value taken off.
    price, order
        lambda and p of ``kappa = ||x - x_i||^p``; the area has the sample and the norm.

    Attributes
    ----------
    missed
        As of `EmptyLeaves`: by how much the value was too low.
    """

    goal: int | None = 0
    """The relaxation is aimed at the one row."""

    def __init__(self, context: Context, question: Question, price: float, order: float) -> None:
        self.question, self.missed = question, 0.0
        self.point: Vector | None = None
        self._context, self._price, self._order = context, price, order
        self._compiled, self._charges = context.network.compiled, context.bounds.charges
        self._empty = EmptyLeaves(context, Target(question, (0,), facts=context.area.numbered))

    def by_default(self) -> Record | None:
        """A leaf for the whole area by the judge's own slopes."""
        slopes, _ = node_slopes(self._context, ())
        evidence = Evidence()
        pulled = default_sweep(self._compiled, self._charges, {self._compiled.output: self.question.rows}, slopes)
        closed = self._value(pulled.coefficients, pulled.constant, pulled.error, evidence, DEFAULT_BITS) <= 0.0
        return _leaf("bound", evidence) if closed else None

    def close(self, path: Path, multipliers: Multipliers) -> Record | None:
        """A leaf that the multipliers prove at a node, ``None`` if they do not; a node without points is *empty*."""
        if not multipliers.weights.any():
            return self._empty.close(path, multipliers)
        wanted, question = np.where(self._context.bounds.unstable, multipliers.pi, np.nan), self.question
        slopes, decided = node_slopes(self._context, path)
        for bits in _BITS:
            collector = Collector(slopes, decided, wanted, bits)
            seeds = {self._compiled.output: question.rows}
            pulled = pull_back_priced(self._compiled, self._charges, seeds, collector.price)
            side = self._facts(collector.evidence, multipliers.side, bits)
            forms, constant = pulled.coefficients + side @ question.side_rows, pulled.constant + side @ question.side_offsets
            error = pulled.error + _ULP * (np.abs(side) @ np.abs(question.side_rows) @ self._reach)
            if self._value(forms, constant, error, collector.evidence, bits) <= 0.0:
                return _leaf("bound", collector.evidence)
        return None

    @property
    def _reach(self) -> Vector:
        """The largest absolute values of the inputs (n,)."""
        return np.maximum(np.abs(self._context.area.lower), np.abs(self._context.area.upper))

    def _facts(self, evidence: Evidence, side: Vector, bits: int) -> Vector:
        """Multipliers of the domain's facts in few bits, which go into the evidence; ends of the box need none."""
        chosen = _rounded(side, bits)
        chosen[self._context.area.numbered :] = 0.0
        evidence.facts.update({int(k): float(chosen[k]) for k in np.flatnonzero(chosen)})
        return chosen

    def _value(self, forms: Vector, constant: Vector, error: Vector, evidence: Evidence, bits: int) -> float:
        """What a swept form proves of the question's row less the price, from above."""
        value = self._priced(forms, evidence, bits)
        offset = float(self.question.offsets[0])
        reach = float(np.abs(forms[0]) @ self._reach)
        size = abs(value) + abs(float(constant[0])) + abs(offset) + reach
        value = value + float(constant[0]) + offset + _SAFETY * (float(error[0]) + _ULP * size)
        return value if np.isfinite(value) else np.inf

    def _priced(self, forms: Vector, evidence: Evidence, bits: int) -> float:
        """The largest value of a form less the price, over the area."""
        area, price, lowered = self._context.area, self._price, 0.0
        if price == 0.0:
            values, balls = ball_bound(forms, area, bits + 8)
            evidence.ball = float(balls[0])
            return float(values[0])
        curved = by_lines(area.norm, self._order)
        if curved:
            values, alpha, beta = largest_power(forms, area, np.array([price]), self._order)
            evidence.line, lowered, price = (float(alpha[0]), float(beta[0])), price * float(beta[0]), price * float(alpha[0])
            if area.norm is not Norm.L2:
                return float(values[0])
        if area.norm is Norm.L2 and price > 0.0 and (curved or self._order == 1.0):
            vector = euclidean_vector(forms[0], area, price, bits + 6)
            evidence.along = {k: float(v) for k, v in enumerate(vector) if v}
            return float(along_vector(forms, area, vector)[0]) + lowered
        return float(largest(forms, area, np.array([price]), self._order)[0]) + lowered


def _leaf(kind: str, evidence: Evidence) -> Record:
    return {"t": "leaf", "k": kind, **evidence.fields()}


def _rounded(values: Vector, bits: int) -> Vector:
    return np.asarray(np.round(values * 2.0**bits) / 2.0**bits)


def _power_of_two(multipliers: Multipliers) -> float:
    """The factor that brings the largest weight, or else the largest price, near 1."""
    largest_weight = float(np.max(multipliers.weights, initial=0.0)) or float(np.max(np.abs(multipliers.pi), initial=0.0))
    return float(2.0 ** -np.frexp(largest_weight)[1]) if largest_weight > 0 and np.isfinite(largest_weight) else 1.0
