"""The leaves of a proof about gradients on a box: bounded (*jac*), without points (*empty*), or without generic ones (*thin*).

In few dimensions the widest side of a box is halved as long as many neurons are undetermined in it: intervals determine most of
them at no cost. Then, and in more dimensions at once, phases are decided: first those that leave the smallest bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify.proof.leaves import EmptyLeaves, Record, Target, node_slopes
from wdaverify.proof.numbers import written
from wdaverify.proof.thin import thin_leaf
from wdaverify.search.inputs import InputSet
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.program.backend import Backend
    from wdaverify.proof.area import Area
    from wdaverify.proof.context import Context
    from wdaverify.proof.gradients import GradientBounds
    from wdaverify.proof.ledger import Emit, Ledger
    from wdaverify.search.relaxation import Path

_TIE = 1.0 + 2.0**-46
"""A float bound beyond the value by this factor may be the value itself; the judge knows."""

_FAR = -1e30
"""No goal is that small: every program is solved to its end."""

_PLANE, _MANY, _HALVINGS = 3, 12, 16
"""Up to the first dimension boxes are halved where more neurons are undetermined, but not more often than the last."""

_FEW, _SAMPLES = 6, 2048
"""Up to so many dimensions random points show which phases exist."""


@dataclass(slots=True, eq=False)
class _Witnesses:
    """Points and their phases, which show that nodes hold something."""

    points: Matrix
    phases: Matrix

    @staticmethod
    def of(context: Context, free: BoolArray) -> _Witnesses:
        """Random points, in few dimensions."""
        area, compiled = context.area, context.network.compiled
        count = _SAMPLES if np.count_nonzero(free) <= _FEW else 0
        points = np.random.default_rng(0).uniform(area.lower, area.upper, (count, compiled.inputs))
        found = _Witnesses(np.zeros((0, compiled.inputs)), np.zeros((0, compiled.neurons)))
        if count:
            found.add(context, points)
        return found

    def add(self, context: Context, points: Matrix) -> IntArray:
        """More points (K, n); their numbers."""
        compiled, first = context.network.compiled, len(self.points)
        trace, phases = compiled.trace(points), np.zeros((len(points), compiled.neurons))
        for step in compiled.relus:
            phases[:, step.neurons] = np.where(trace[step.source] >= 0, 1.0, -1.0)
        self.points, self.phases = np.concatenate([self.points, points]), np.concatenate([self.phases, phases])
        return np.arange(first, len(self.points))


class _Part:
    """What is known of one box."""

    def __init__(self, context: Context, backend: Backend, loosened: tuple[Vector, Vector], halvings: int = 0) -> None:
        self.context, self.halvings, self._backend, self._loosened = context, halvings, backend, loosened
        directions = np.random.default_rng(0).standard_normal((1, context.network.outputs))
        self._question = Question.of(directions, inputs=context.network.inputs)

    @cached_property
    def leaves(self) -> EmptyLeaves:
        """How nodes without points are closed."""
        return EmptyLeaves(self.context, Target(self._question, (0,)))

    @cached_property
    def relaxation(self) -> PhaseRelaxation:
        """The program over the box, where neurons decided before are decided as the others are."""
        context = self.context
        bounds, inputs = context.bounds.tightened(*self._loosened), InputSet(context.area.regions)
        relaxation = PhaseRelaxation(self._backend, context.network, self._question, inputs, bounds)
        relaxation.aim(0)
        return relaxation


class _Half(NamedTuple):
    """A box that is not entered yet, and the part it is a half of."""

    area: Area
    parent: _Part


class GradientNode(NamedTuple):
    """A node: its box, all decisions, and the numbers of points in it."""

    part: _Part | _Half
    path: Path
    witnesses: IntArray


class GradientTree:
    """The tree of one proof.

    Parameters
    ----------
    bounds, value
        Of the gradients, and what they may not exceed.
    emit
        Where records go that are neither splits nor leaves.
    """

    def __init__(self, ledger: Ledger, context: Context, bounds: GradientBounds, value: float, emit: Emit) -> None:
        self._backend, self._deadline, self._emit = ledger.backend, ledger.deadline, emit
        self._bounds, self._value, self._whole = bounds, value, context
        self._witnesses = _Witnesses.of(context, bounds.free)
        self._dimensions = int(np.count_nonzero(bounds.free))
        part = _Part(context, ledger.backend, (context.lower, context.upper))
        self.root = GradientNode(part, (), np.arange(len(self._witnesses.points)))

    def step(self, node: GradientNode) -> tuple[Record, list[GradientNode]] | None:
        """The record that closes or splits a node, and its children in the judge's order; ``None`` where neither is left."""
        part = self._entered(node.part, node.path) if isinstance(node.part, _Half) else node.part
        slopes, decided = node_slopes(part.context, node.path)
        if (slopes.lower > slopes.upper).any():
            return {"t": "leaf", "k": "empty"}, []
        modes = np.where(decided != 0, decided, slopes.modes())
        if self._bounds.largest(modes[None])[0] <= self._value * _TIE:
            return {"t": "leaf", "k": "jac"}, []
        if not len(node.witnesses):
            record, point = self._emptied(part, node.path, decided)
            if record is not None:
                return record, []
            node = node._replace(witnesses=point)
        node = node._replace(part=part)
        if self._dimensions <= _PLANE and np.count_nonzero(modes == 0) > _MANY and part.halvings < _HALVINGS:
            return self._halved(part, node)
        k = self._bounds.branching(modes, self._value, likely=self._likely(node.witnesses))
        if k is None:
            record = thin_leaf(part.context, node.path, self._backend)
            return None if record is None else (record, [])
        phases = self._witnesses.phases[node.witnesses, k]
        children = [node._replace(path=(*node.path, s * (k + 1)), witnesses=node.witnesses[phases == s]) for s in (1, -1)]
        return {"t": "split", "n": k}, children

    def _likely(self, witnesses: IntArray) -> BoolArray | None:
        """Whether each phase (2, neurons), active first, was met at some point; ``None`` if there are too few to say so."""
        if self._dimensions > _FEW or not len(witnesses):
            return None
        phases = self._witnesses.phases[witnesses]
        return np.stack([(phases > 0).any(axis=0), (phases < 0).any(axis=0)])

    def _halved(self, part: _Part, node: GradientNode) -> tuple[Record, list[GradientNode]]:
        """Both halves of the side that is widest, as a part of the whole box's."""
        area, whole = part.context.area, self._whole.area
        free = self._bounds.free
        j = int(np.argmax(np.where(free, area.upper - area.lower, 0.0) / np.where(free, whole.upper - whole.lower, 1.0)))
        at = 0.5 * float(area.lower[j]) + 0.5 * float(area.upper[j])
        exact, beyond = Fraction(at), self._witnesses.points[node.witnesses, j] > at
        low = replace(area, high=(*area.high[:j], exact, *area.high[j + 1 :]))
        high = replace(area, low=(*area.low[:j], exact, *area.low[j + 1 :]))
        children = [
            GradientNode(_Half(half, part), node.path, node.witnesses[inside])
            for half, inside in ((low, ~beyond), (high, beyond))
        ]
        return {"t": "input", "j": j, "at": written(at)}, children

    def _entered(self, half: _Half, path: Path) -> _Part:
        """Certify what is known of a half: the judge's intervals, and ends that determine a neuron."""
        slopes, decided = node_slopes(half.parent.context, path)
        self._emit({"t": "refresh"})
        context = self._whole.part(half.area, slopes, self._emit)
        loose = [np.where(decided != 0, *ends) for ends in self._ends(context)]
        return _Part(context, self._backend, (loose[0], loose[1]), half.parent.halvings + 1)

    def _ends(self, context: Context) -> list[tuple[Vector, Vector]]:
        return [(self._whole.lower, context.lower), (self._whole.upper, context.upper)]

    def _emptied(self, part: _Part, path: Path, decided: Vector) -> tuple[Record | None, IntArray]:
        """The record that a node holds no point, or perhaps the number of a point that it holds."""
        part.relaxation.move(path)
        answer = part.relaxation.answer(_FAR, self._deadline)
        nothing = np.zeros(0, dtype=np.int64)
        if answer.ceiling == -math.inf and answer.multipliers is not None:
            return part.leaves.close(path, answer.multipliers), nothing
        if answer.point is None:
            return None, nothing
        found = self._witnesses.add(self._whole, answer.point[None])
        return None, found if bool((self._witnesses.phases[found[0]] * decided >= 0).all()) else nothing
