r"""Sample-wise constants: how fast the margin of one sample can grow, as seen from that sample.

.. math:: \Lambda_i = \sup_{x \in X} \frac{m(x, y_i) - m_i}{\|x - x_i\|} = \min\{\lambda : \varphi_i(\lambda) = m_i\}, \qquad
          \varphi_i(\lambda) = \max_{x \in X} [m(x, y_i) - \lambda \|x - x_i\|],

at most the Lipschitz constant (docs/theory.md, "Certificates"). Dinkelbach's method (*On nonlinear fractional programming*,
Management Science 13, 1967) solves it by a few maximisations: lambda becomes the ratio at the maximiser, until none is better.
A maximisation leaves a proved excess, ``m(x) - m_i <= lambda ||x - x_i|| + excess``, and that is all that the certificates need:
any lambda is valid with its excess, however early the search was stopped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.bounds.crown import crown_bounds
from wdaverify.domain import Regions
from wdaverify.ir.exact import exact_forward
from wdaverify.losses import exact_margin
from wdaverify.search.cost import CostTerm
from wdaverify.search.inputs import InputSet
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.oracle import maximise
from wdaverify.search.question import Question
from wdaverify.search.result import End, SearchLimits
from wdaverify.transport import GroundCost, exact_distance, round_up

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_GAP = 1e-7
"""Excess that is close enough to 0, relative to the size of the margin."""

_ROUNDS = 12
"""Most maximisations of one class."""

_BETTER = 1.0 + 1e-9
"""A ratio counts as better from this factor on."""


@dataclass(frozen=True, slots=True)
class GrowthRate:
    """``m(x, y) - m(x_i, y) <= rate ||x - x_i|| + excess`` on the domain, proved."""

    rate: float
    excess: Fraction


class RateSearch:
    """Finds the rates of samples on one domain, whose bounds all share.

    Parameters
    ----------
    box
        Bounded, with vector ends.
    norm
        ``l1`` or ``linf``.

    Raises
    ------
    InputError
        If the norm is l2 (its cost is not piecewise linear), the box is unbounded, or bounds on it exceed float64.
    """

    def __init__(self, backend: Backend, network: Network, box: Box, norm: Norm) -> None:
        if norm is Norm.L2:
            raise InputError("sample-wise constants need l1 or linf")
        if not box.bounded:
            raise InputError("sample-wise constants need a bounded domain")
        self._backend, self._network, self._norm = backend, network, norm
        self._regions = Regions.of_box(box, network.inputs)
        self._bounds = NeuronBounds.of(network, self._regions, crown_bounds(network, self._regions))
        if not self._bounds.finite:
            raise InputError("bounds on the domain exceed the range of float64")

    def rate(self, x: Vector, label: int, *, known: Vector | None = None, deadline: Deadline | None = None) -> GrowthRate:
        """The rate of one sample; with a deadline, as far as the search came.

        Parameters
        ----------
        x
            The sample (n,), a point of the box.
        known
            A point of the box (n,) where the margin is large, to begin with.

        Raises
        ------
        KeyboardInterrupt
            If the search was interrupted.
        """
        limit = deadline or Deadline()
        margin = self._margin(x, label)
        slope = 0.0 if known is None else self._ratio(x, margin, known, label)
        excess = 0.0
        rivals = [j for j in range(self._network.outputs) if j != label]
        for done, rival in enumerate(rivals):
            share = Deadline.after(None if limit.unlimited else limit.remaining / (len(rivals) - done))
            slope, left = self._rival(x, margin, (rival, label), slope, share)
            excess = max(excess, left)  # a later, larger lambda only lowers what was proved for an earlier one
        return GrowthRate(slope, Fraction(excess)) if math.isfinite(excess) else GrowthRate(math.inf, Fraction(0))

    def _rival(self, x: Vector, margin: Fraction, pair: tuple[int, int], slope: float, deadline: Deadline) -> tuple[float, float]:
        """Raise lambda until ``f_j - f_y - m_i - lambda ||x - x_i||`` is nowhere positive; lambda and the excess left."""
        row = np.zeros((1, self._network.outputs))
        row[0, list(pair)] = 1.0, -1.0
        question = Question.of(row, inputs=len(x), offsets=np.array([round_up(-margin)]))
        gap, start, excess = _GAP * max(1.0, abs(float(margin))), x, math.inf
        for _ in range(_ROUNDS):
            inputs = InputSet(self._regions, CostTerm(x, GroundCost(self._norm), slope))
            limits = SearchLimits(deadline=deadline, gap=gap)
            result = maximise(self._backend, self._network, question, inputs, self._bounds, limits=limits, start=start)
            excess = result.upper
            if result.end is End.INTERRUPTED:
                raise KeyboardInterrupt
            if result.witness is None or deadline.passed:
                break
            better = self._ratio(x, margin, result.witness, pair[1])
            if result.lower <= gap or better <= slope * _BETTER:
                break
            slope, start = better, result.witness
        return slope, excess

    def _margin(self, x: Vector, label: int) -> Fraction:
        return exact_margin(exact_forward(self._network, x.tolist()), label)[0]

    def _ratio(self, x: Vector, margin: Fraction, point: Vector, label: int) -> float:
        """``(m(point) - m_i) / ||point - x_i||``, not below 0, as a float: a proposal for lambda."""
        length = exact_distance(point, x, self._norm)
        return 0.0 if length == 0 else max(0.0, float((self._margin(point, label) - margin) / length))
