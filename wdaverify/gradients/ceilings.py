"""Upper bounds of gradient norms for a batch of nodes, and the neuron that each should decide next.

Every pair (node, form) gets the mixing bound of its zonotope. Pairs that survive get a second one: at the relaxation's optimum
some symbols lean to one side, and the chord of ``max(0, v)`` or ``min(0, v)`` on that side as slope makes the zonotope
tighter where it matters.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.gradients.mixing import largest_norms
from wdaverify.gradients.node import stacked
from wdaverify.gradients.zonotope import gradient_zonotopes, lost_in_zonotopes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, Norm, Vector
    from wdaverify.gradients.ground import Ground
    from wdaverify.gradients.mixing import MixingBound
    from wdaverify.gradients.node import Node
    from wdaverify.gradients.zonotope import Zonotopes

_LAST_LAYER = 2.0
"""Weight of the last hidden layer's shares: deciding it makes the adjoints of all others simpler."""

_MANY_INPUTS = 16
"""From so many inputs on that weight applies; with few, the cells of the first layer matter as much."""


class Ceilings:
    """Bounds the norms of some forms in one norm.

    Parameters
    ----------
    forms
        Shape (P, K).

    Attributes
    ----------
    floor
        Shape (P,): ceilings cannot be told apart more closely than this, because of rounding.
    """

    def __init__(self, ground: Ground, forms: Matrix, norm: Norm) -> None:
        self._ground, self._compiled, self._forms, self._norm = ground, ground.network.compiled, forms, norm
        dead = ground.bounds.upper <= 0.0
        self._lost, self._lost_sloped = (self._lost_norms(dead, sloped=sloped) for sloped in (False, True))
        self.floor = 4.0 * self._lost_sloped
        self._weight = np.ones(self._compiled.neurons)
        if self._compiled.inputs >= _MANY_INPUTS and self._compiled.relus:
            self._weight[self._compiled.relus[-1].neurons] = _LAST_LAYER

    def _lost_norms(self, dead: BoolArray, *, sloped: bool) -> Vector:
        """What rounding may add to the norm of each form's gradients."""
        lost = lost_in_zonotopes(self._compiled, self._forms, dead, self._ground.coordinates, sloped=sloped)
        return np.asarray(np.nextafter(largest_norms(lost[:, None, :], self._norm).ceilings, np.inf))

    def bound(self, nodes: Sequence[Node], cutoffs: Vector) -> list[Node]:
        """The nodes with lower ceilings, where they were above `cutoffs` (P,) or (M, P), and with the neuron to decide next."""
        phases = stacked(nodes, "phases")
        ceilings, shares = self.lowered(phases, stacked(nodes, "ceilings"), cutoffs)
        if shares is None:
            return list(nodes)
        return [replace(node, ceilings=ceilings[m], split=self._split(phases[m], shares[m])) for m, node in enumerate(nodes)]

    def lowered(self, phases: Matrix, ceilings: Matrix, cutoffs: Vector) -> tuple[Matrix, Matrix | None]:
        """Ceilings (M, P) on prefixes with phases (M, neurons), lower where they were above the cutoffs (P,) or (M, P).

        Returned with the shares (M, neurons) that open neurons have in the worst of them; ``None`` if all were below.
        """
        ceilings, cutoffs = ceilings.copy(), np.broadcast_to(cutoffs, ceilings.shape)
        owner, pair = np.nonzero(ceilings > cutoffs)
        if not len(owner):
            return ceilings, None
        zonotopes, bound = self._bound(phases[owner], pair, None)
        ceilings[owner, pair] = np.minimum(ceilings[owner, pair], _up(bound.ceilings + self._lost[pair]))
        again = np.flatnonzero(ceilings[owner, pair] > cutoffs[owner, pair])
        if len(again) and bound.lean is not None:
            slopes = leaning_slopes(zonotopes, bound.lean, again)
            _, second = self._bound(phases[owner[again]], pair[again], slopes)
            own, which = owner[again], pair[again]
            ceilings[own, which] = np.minimum(ceilings[own, which], _up(second.ceilings + self._lost_sloped[which]))
        shares = np.zeros_like(phases)
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(ceilings > cutoffs, ceilings / cutoffs, 0.0)
        worst = excess.argmax(axis=1)
        chosen = np.flatnonzero(pair == worst[owner])
        shares[np.ix_(owner[chosen], zonotopes.neurons[1:])] = bound.shares[chosen, 1:]
        return ceilings, shares

    def _bound(self, phases: Matrix, pair: IntArray, slopes: Matrix | None) -> tuple[Zonotopes, MixingBound]:
        zonotopes = gradient_zonotopes(self._compiled, self._forms[pair], phases, self._ground.coordinates, slopes)
        return zonotopes, largest_norms(zonotopes.generators, self._norm)

    def _split(self, phases: Vector, shares: Vector) -> int:
        """The open neuron with the largest weighted share, or any if none has one; -1 if all are decided."""
        if (phases != 0).all():
            return -1
        return int(np.where(phases == 0, shares * self._weight, -1.0).argmax())


def leaning_slopes(zonotopes: Zonotopes, lean: Matrix, rows: IntArray) -> Matrix:
    """Slopes (R, neurons) between the chords of ``max(0, v)`` and ``min(0, v)``, as far as symbols lean to each side."""
    k = zonotopes.neurons[1:]
    low, high = zonotopes.low[rows][:, k], zonotopes.high[rows][:, k]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(np.nan_to_num(high / (high - low), nan=0.5), 0.0, 1.0)
    weight = 0.5 + 0.5 * np.clip(lean[rows, 1:], -1.0, 1.0)
    slopes = np.full((len(rows), zonotopes.low.shape[1]), 0.5)
    slopes[:, k] = weight * share + (1.0 - weight) * (1.0 - share)
    return slopes


def _up(values: Vector) -> Vector:
    """Rounded up; what is not a number bounds nothing."""
    return np.asarray(np.nextafter(np.where(np.isnan(values), np.inf, values), np.inf))
