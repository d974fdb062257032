"""Which bounds of a box its leaves need: a bound that is not written costs the judge nothing.

With the prices pi of a leaf fixed, what the leaf proves is a sum over neurons (`bounds.lagrangian`), so that every end of a
pre-activation that falls back to what is known on a larger box costs an amount of its own. An end that is used to bound
deeper neurons also costs what those lose by it, to first order: the loss of a neuron's end, times what the leaf loses by it
per unit. Layers are visited from the last to the first, and in each the cheapest ends are given up while every leaf keeps
some of its slack. The result is a guess: whoever uses it closes the leaves anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify.bounds.lagrangian import best_of_neurons, pull_back
from wdaverify.proof.sweep import Slopes
from wdaverify.search.ceiling import Multipliers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.bounds.lagrangian import Pulled
    from wdaverify.ir.compiled import ReluStep
    from wdaverify.proof.context import Context
    from wdaverify.search.question import Question
    from wdaverify.search.relaxation import Path


class Needed(NamedTuple):
    """Which lower and which upper ends are to be written, shape (neurons,) each."""

    lower: BoolArray
    upper: BoolArray


class _Loss(NamedTuple):
    """What rows (R,) lose when one end of one neuron falls back, shape (R, neurons) for each end."""

    lower: Matrix
    upper: Matrix

    def both(self, rates: Matrix) -> Matrix:
        """``rates`` (L, R) times the rows of either end, (2, L, neurons)."""
        return np.stack([rates @ self.lower, rates @ self.upper])


class Thrift:
    """Chooses the ends that a box's leaves need.

    Parameters
    ----------
    known, here
        What the judge knows of the larger box, and of the box with all its records.
    closings
        The paths of the box's leaves, and the multipliers that close them.

    Attributes
    ----------
    closings
        With prices of the decided neurons as well, which are undecided again once their ends are given up.
    """

    def __init__(self, known: Context, here: Context, question: Question, closings: Sequence[tuple[Path, Multipliers]]) -> None:
        self._known, self._here, self._question = known, here, question
        self._compiled, self._charges = here.network.compiled, here.bounds.charges
        self._prices = np.array([multipliers.pi for _, multipliers in closings])
        direct, slack = self._leaves([path for path, _ in closings], [multipliers for _, multipliers in closings])
        self._possible = bool((slack > 0).all() and all(np.isfinite(part).all() for part in direct))
        scale = np.where(slack > 0, slack, 1.0)[:, None]
        self._direct = _Loss(direct.lower / scale, direct.upper / scale)
        self.closings = [
            (path, Multipliers(pi=prices, weights=multipliers.weights, side=multipliers.side))
            for (path, multipliers), prices in zip(closings, self._prices, strict=True)
        ]

    def chosen(self, budget: float) -> Needed | None:
        """The ends to keep where every leaf may lose this part of its slack, ``None`` if nothing can be given up."""
        known, here = self._known, self._here
        if not self._possible:
            return None
        moved = np.stack([here.lower - known.lower, known.upper - here.upper])  # by how much, 0 where there is no record
        loss, spent = np.stack([self._direct.lower, self._direct.upper]), np.zeros(len(self.closings))
        keep = moved > 0
        steps = self._compiled.relus[::-1]
        for k, step in enumerate(steps):
            side, n = np.nonzero(keep[:, step.neurons])
            n = n + step.first
            order = np.argsort(loss[side, :, n].max(axis=1), kind="stable")
            for e in order:
                after = spent + loss[side[e], :, n[e]]
                if after.max() > budget * (k + 1) / len(steps):
                    break
                spent, keep[side[e], n[e]] = after, False
            left = keep[side, n]
            side, n = side[left], n[left]
            if len(n):
                rates = loss[side, :, n] / moved[side, n][:, None]
                loss = loss + self._bounds(step, side, n - step.first).both(rates.T)
        return Needed(keep[0], keep[1])

    def _leaves(self, paths: Sequence[Path], multipliers: Sequence[Multipliers]) -> tuple[_Loss, Vector]:
        """What leaves lose, and their slack (L,); fills in the prices of decided neurons."""
        question, area, free = self._question, self._here.area, self._here.bounds.unstable
        weights, side = np.array([m.weights for m in multipliers]), np.array([m.side for m in multipliers])
        floors, tops = np.full(self._prices.shape, -np.inf), np.full(self._prices.shape, np.inf)
        for k, path in enumerate(paths):
            for d in path:
                (floors if d > 0 else tops)[k, abs(d) - 1] = 0.0
        passing = self._here.lower >= 0

        def prices(step: ReluStep, rows: Matrix) -> Matrix:
            n = step.neurons
            self._prices[:, n] = np.where(free[n], self._prices[:, n], np.where(passing[n], rows, 0.0))
            return self._prices[:, n]

        seeds = {self._compiled.output: weights @ question.rows}
        loss, pulled = self._lost(seeds, prices, floors, tops)
        forms = pulled.coefficients + side @ question.side_rows
        values = np.maximum(forms, 0.0) @ area.upper + np.minimum(forms, 0.0) @ area.lower
        values = values + pulled.constant + pulled.error + weights @ question.offsets + side @ question.side_offsets
        return loss, -values

    def _bounds(self, step: ReluStep, side: IntArray, entries: IntArray) -> _Loss:
        """What the bounds of ends of one layer lose: lower ends where `side` is 0, upper ends where it is 1."""
        slopes = Slopes.of(self._here.lower, self._here.upper)
        modes = slopes.modes()
        rows = np.zeros((len(entries), step.size))
        rows[np.arange(len(entries)), entries] = 2.0 * side - 1.0

        def prices(earlier: ReluStep, rows: Matrix) -> Matrix:
            n = earlier.neurons
            relaxed = np.where(rows > 0, slopes.above[n], slopes.below[n]) * rows
            return np.asarray(np.where(modes[n] == 0, relaxed, np.where(modes[n] > 0, rows, 0.0)))

        none = np.full((1, self._compiled.neurons), np.inf)
        return self._lost({step.source: rows}, prices, -none, none)[0]

    def _lost(self, seeds: Mapping[int, Matrix], prices: object, floors: Matrix, tops: Matrix) -> tuple[_Loss, Pulled]:
        """The losses of forms at prices, with phases as floors and tops of pre-activations."""
        here, known = self._here, self._known
        shape = len(next(iter(seeds.values()))), self._compiled.neurons
        loss = _Loss(np.zeros(shape), np.zeros(shape))

        def choose(step: ReluStep, rows: Matrix) -> tuple[Matrix, Matrix, Matrix]:
            n = step.neurons
            pi = prices(step, rows)  # type: ignore[operator]
            lower, upper = np.maximum(here.lower[n], floors[:, n]), np.minimum(here.upper[n], tops[:, n])
            own = best_of_neurons(rows, pi, lower, upper)
            fallen = np.maximum(known.lower[n], floors[:, n]), np.minimum(known.upper[n], tops[:, n])
            loss.lower[:, n] = np.maximum(best_of_neurons(rows, pi, fallen[0], upper) - own, 0.0)
            loss.upper[:, n] = np.maximum(best_of_neurons(rows, pi, lower, fallen[1]) - own, 0.0)
            return pi, lower, upper

        with np.errstate(over="ignore", invalid="ignore"):
            return loss, pull_back(self._compiled, self._charges, seeds, choose)
