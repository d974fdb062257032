"""What multipliers prove about a node: ceilings of goals and of pre-activations, on the weights as stored.

`bounds.lagrangian` is the bound. This module forms it for a question's rows: with nonnegative weights ``w`` and ``v``, for every
point that satisfies the facts about inputs,

    g_goal  <=  g_goal + sum_s v_s (side_s . x + offset_s),       min_r g_r  <=  sum_r w_r g_r / sum_r w_r + (the same)

and the right-hand sides are linear forms of logits and inputs. Pre-activations are bounded for *points of interest*, where the
rows with positive weight are at least 0: ``z <= z + sum_r w_r g_r + (the same)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.bounds.exact_lagrangian import exact_lagrangian, on_grid
from wdaverify.bounds.lagrangian import best_of_neurons, pull_back
from wdaverify.bounds.rounding import INFLATION, gamma, underflow

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix, Vector
    from wdaverify.ir.compiled import ReluStep
    from wdaverify.ir.network import Network
    from wdaverify.search.inputs import InputSet
    from wdaverify.search.neuron_bounds import NeuronBounds
    from wdaverify.search.question import Question


@dataclass(frozen=True, slots=True, eq=False)
class Multipliers:
    """What proves a ceiling: any values do, bad ones prove less.

    Attributes
    ----------
    pi
        Prices of the free neurons' pre-activations, shape (neurons,), 0 elsewhere.
    weights
        Nonnegative, of the question's rows, shape (R,).
    side
        Nonnegative, of the question's rows about inputs, shape (S,).
    """

    pi: Vector
    weights: Vector
    side: Vector


class CeilingProver:
    """Proves ceilings on one region; the ends of the neurons move with the node.

    Parameters
    ----------
    free
        The neurons that have prices, shape (neurons,). Others pass their adjoint, or nothing where ``u <= 0``.

    Attributes
    ----------
    lower, upper
        The ends of all pre-activations at the node, shape (neurons,); the caller changes them.
    scale
        A bound of the absolute values of the question's rows.
    """

    def __init__(self, network: Network, question: Question, inputs: InputSet, bounds: NeuronBounds, free: BoolArray) -> None:
        self._network, self._compiled, self._question, self._inputs = network, network.compiled, question, inputs
        self._charges, self._free, self._dead = bounds.charges, free, bounds.upper <= 0.0
        self.lower, self.upper = bounds.lower.copy(), bounds.upper.copy()
        sizes = np.abs(question.rows) @ self._charges.magnitudes[self._compiled.output] + np.abs(question.offsets)
        self.scale = float(np.max(sizes, initial=0.0))
        self._rounding = gamma(len(question.rows) + 4) * INFLATION * sizes
        values = self._charges.magnitudes[self._compiled.output].sum() + self._charges.magnitudes[self._compiled.input].sum()
        self._underflow = float(underflow(len(question.rows) + len(question.side_rows) + 4, values))  # of weights times rows

    def of_goal(self, multipliers: Multipliers, goal: int | None) -> float:
        """A proved upper bound of a row (the weights must be its unit vector), or with ``None`` of the least of all rows."""
        if goal is not None:
            return self.of_sum(multipliers)
        total = float(multipliers.weights.sum())
        if not (total > 0.0 and math.isfinite(total)):
            return math.inf
        # scaled so that the weights add up to 1: the cost is paid once, whatever they added up to
        scaled = Multipliers(multipliers.pi / total, multipliers.weights / total, multipliers.side / total)
        value = self._value(self._seeds(scaled), scaled, inputs=self._inputs)
        rounding = 4.0 * gamma(len(scaled.weights) + 4) * self.scale
        return math.nextafter(value + rounding, math.inf) if np.isfinite(scaled.pi).all() else math.inf

    def of_sum(self, multipliers: Multipliers) -> float:
        """A proved upper bound of the weighted sum of the question's rows."""
        return self._value(self._seeds(multipliers), multipliers, inputs=self._inputs)

    def of_nothing(self, multipliers: Multipliers) -> float:
        """A proved upper bound of 0 over the points of interest: below 0 it proves that there are none."""
        return self._value(self._seeds(multipliers), multipliers, inputs=self._inputs.unpriced)

    def room(self, multipliers: Multipliers, lower: Vector, upper: Vector) -> Vector:
        """By how much the bound of 0 would grow, neuron by neuron (neurons,), with these ends instead of the node's.

        The prices stand, so the bound is a sum over neurons and the growths add up, up to rounding.
        """
        growth = np.zeros(len(self.lower))

        def choose(step: ReluStep, rows: Matrix) -> tuple[Matrix, Matrix, Matrix]:
            n = step.neurons
            pi = np.where(self._free[n], multipliers.pi[n], np.where(self._dead[n], 0.0, rows))
            own = best_of_neurons(rows, pi, self.lower[n][None], self.upper[n][None])
            growth[n] = (best_of_neurons(rows, pi, lower[n][None], upper[n][None]) - own)[0]
            return pi, self.lower[n][None], self.upper[n][None]

        with np.errstate(over="ignore", invalid="ignore"):
            pull_back(self._compiled, self._charges, self._seeds(multipliers), choose)
        return growth

    def of_neuron(self, neuron: int, sign: float, multipliers: Multipliers) -> float:
        """A proved upper bound of ``sign * z`` of a neuron over the points of interest."""
        step = next(s for s in self._compiled.relus if s.first <= neuron < s.first + s.size)
        rows = np.zeros((1, step.size))
        rows[0, neuron - step.first] = sign
        seeds = self._seeds(multipliers)
        seeds[step.source] = seeds[step.source] + rows if step.source in seeds else rows
        return self._value(seeds, multipliers, inputs=self._inputs.unpriced)

    def at_most_zero(self, multipliers: Multipliers, *, least: bool) -> bool:
        """Whether the multipliers prove in rational arithmetic that the goal is at most 0; the region must be a box."""
        question, names = self._question, self._compiled.names
        weights, side = on_grid(multipliers.weights), on_grid(multipliers.side)
        if least and sum(weights) <= 0:
            return False
        seeds = {
            names[self._compiled.output]: _combined(weights, question.rows),
            names[self._compiled.input]: _combined(side, question.side_rows),
        }
        constants = zip([*weights, *side], [*question.offsets, *question.side_offsets], strict=True)
        offset = sum((w * Fraction(float(b)) for w, b in constants), Fraction(0))
        free = np.flatnonzero(self._free)
        prices = dict(zip(free.tolist(), on_grid(multipliers.pi[free]), strict=True))
        ends = (self.lower, self.upper), (self._inputs.lower, self._inputs.upper)
        return exact_lagrangian(self._network, seeds, prices, *ends) + offset <= 0

    def _seeds(self, multipliers: Multipliers) -> dict[int, Matrix]:
        with np.errstate(over="ignore", invalid="ignore"):
            return {self._compiled.output: (multipliers.weights @ self._question.rows)[None]}

    def _value(self, seeds: dict[int, Matrix], multipliers: Multipliers, *, inputs: InputSet) -> float:
        """The Lagrangian bound of the seeds' form plus the facts about inputs and all constants, rounded up."""
        question, charges = self._question, self._charges

        def choose(step: ReluStep, rows: Matrix) -> tuple[Matrix, Matrix, Matrix]:
            n = step.neurons
            passed = np.where(self._dead[n], 0.0, rows)
            return np.where(self._free[n], multipliers.pi[n], passed), self.lower[n][None], self.upper[n][None]

        with np.errstate(over="ignore", invalid="ignore"):
            pulled = pull_back(self._compiled, charges, seeds, choose)
            forms = pulled.coefficients
            error = float(pulled.error[0]) + float(multipliers.weights @ self._rounding) + self._underflow
            constant = float(multipliers.weights @ question.offsets)
            if multipliers.side.any():
                forms = forms + multipliers.side @ question.side_rows
                sizes = np.abs(forms) + multipliers.side @ np.abs(question.side_rows)
                reach = float((sizes @ charges.magnitudes[self._compiled.input])[0])
                reach += float(multipliers.side @ np.abs(question.side_offsets))
                error += gamma(len(question.side_rows) + 8) * INFLATION * reach
                constant += float(multipliers.side @ question.side_offsets)
            value = float(inputs.maximum(forms)[0])
            magnitude = abs(value) + abs(float(pulled.constant[0])) + abs(constant) + error
            value = value + float(pulled.constant[0]) + constant + error + 16.0 * UNIT_ROUNDOFF * magnitude
        # -inf is an overflow as well: no bound of a finite region is that low
        return math.nextafter(value, math.inf) if math.isfinite(value) else math.inf


def _combined(weights: list[Fraction], rows: Matrix) -> list[Fraction]:
    """``weights @ rows``, exactly."""
    total = [Fraction(0)] * rows.shape[1]
    for weight, row in zip(weights, rows.tolist(), strict=True):
        total = [t + weight * Fraction(v) for t, v in zip(total, row, strict=True)]
    return total
