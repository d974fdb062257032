"""Better linear forms above the gains: the lower slopes of the relaxed neurons, chosen for the point that the bound itself picks.

A form above ``r relu(z)`` for ``r < 0`` is ``r s z`` with any slope s in [0, 1]. The bound of the gain less its price over a
shell is attained at one point; followed through the relaxed layers, a neuron with ``r < 0`` has some value there, and the
bound falls when its slope moves towards 1 where that is positive, towards 0 where it is negative: a subgradient step (Xu et
al., *Fast and complete: enabling complete neural network verification with rapid and massively parallel incomplete
verifiers*, ICLR 2021). Any slopes give a valid form, with the roundings charged by `bounds.lagrangian`, so that only the
choice is approximate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.bounds.lagrangian import pull_back
from wdaverify.ir.compiled import AffineStep, InputStep

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix, Vector
    from wdaverify.ir.compiled import ReluStep
    from wdaverify.pricing.ball_bounds import BallBounds
    from wdaverify.pricing.interest import Interest

_STEPS = 6

_RATE = 3.0
"""First step of the lower slopes, relative to the width of a neuron's range."""


def sloped_gains(interest: Interest, bounds: BallBounds, slopes: Matrix) -> tuple[Matrix, Vector, Vector, Matrix]:
    """Forms above each pair's own gain with slopes that suit it.

    Parameters
    ----------
    slopes
        Lower slopes (P, neurons) to begin with.

    Returns
    -------
    forms, constants, ends, slopes
        The best forms (P, n), (P,), what they say of the gain less its price (P,), and the slopes to go on from.
    """
    sloped = SlopedForms(bounds, interest.rows, slopes.copy())
    forms, constants = newest, _ = sloped.forms()
    ends = interest.gain_ends(forms, constants)
    for step in range(_STEPS):
        sloped.move(interest.highest(newest), _RATE / (1.0 + step) ** 0.5)
        newest, others = sloped.forms()
        lower = interest.gain_ends(newest, others)
        better = lower < ends
        forms, constants = np.where(better[:, None], newest, forms), np.where(better, others, constants)
        ends = np.where(better, lower, ends)
    return forms, constants, ends, sloped.lower_slopes


class SlopedForms:
    """Forms above rows of logits (P, K), one on each region, whose lower slopes can be moved.

    Attributes
    ----------
    lower_slopes
        Of all neurons on all regions, (P, neurons), between 0 and 1.
    """

    def __init__(self, bounds: BallBounds, rows: Matrix, lower_slopes: Matrix | None = None) -> None:
        self._bounds, self._rows = bounds, rows
        low, high = bounds.low, bounds.high
        self._unstable: BoolArray = np.asarray((low < 0) & (high > 0))
        width = np.where(self._unstable, high - low, 1.0)
        self._slope = np.where(self._unstable, high / width, (low >= 0).astype(np.float64))
        self._intercept = np.where(self._unstable, -low * high / width, 0.0)
        self._width = width
        self.lower_slopes = (high > -low).astype(np.float64) if lower_slopes is None else lower_slopes
        self._adjoints: dict[int, Matrix] = {}

    def forms(self) -> tuple[Matrix, Vector]:
        """Coefficients (P, n) and constants (P,), rounded up."""
        bounds = self._bounds

        def choose(step: ReluStep, rows: Matrix) -> tuple[Matrix, Matrix, Matrix]:
            own = step.neurons
            self._adjoints[step.slot] = rows
            return self._chosen(step, rows) * rows, bounds.low[:, own], bounds.high[:, own]

        with np.errstate(over="ignore", invalid="ignore"):
            pulled = pull_back(bounds.compiled, bounds.charges, {bounds.compiled.output: self._rows}, choose)
            constants = pulled.constant + pulled.error + 4.0 * UNIT_ROUNDOFF * (np.abs(pulled.constant) + pulled.error)
        return pulled.coefficients, constants

    def move(self, points: Matrix, rate: float) -> None:
        """One step of the lower slopes for the points (P, n) at which the forms of the last call are bounded."""
        values: list[Matrix] = []
        for step in self._bounds.compiled.steps:
            if isinstance(step, InputStep):
                values.append(points)
            elif isinstance(step, AffineStep):
                parts = zip(step.factors, step.sources, strict=True)
                values.append(np.asarray(sum((f.push(values[s]) for f, s in parts), step.bias)))
            else:
                own, z = step.neurons, values[step.source]
                rows = self._adjoints.get(step.slot, np.zeros_like(z))
                values.append(self._chosen(step, rows) * z + np.where(rows > 0, self._intercept[:, own], 0.0))
                moved = np.clip(self.lower_slopes[:, own] + rate * z / self._width[:, own], 0.0, 1.0)
                movable = (rows < 0) & self._unstable[:, own]
                self.lower_slopes[:, own] = np.where(movable, moved, self.lower_slopes[:, own])

    def _chosen(self, step: ReluStep, rows: Matrix) -> Matrix:
        own = step.neurons
        lower = np.where(self._unstable[:, own], self.lower_slopes[:, own], self._slope[:, own])
        return np.where(rows > 0, self._slope[:, own], lower)
