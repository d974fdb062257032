"""The best gradients found: screened in float64, kept only where exact arithmetic confirms cell and gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.cells.interior import interior_at
from wdaverify.gradients.norms import dual_norm_ends, float_norms
from wdaverify.gradients.zonotope import gradient_zonotopes
from wdaverify.ir.exact_piece import exact_gradient

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.domain import Box
    from wdaverify.gradients.targets import Targets
    from wdaverify.ir.network import Network

_PROMISING = 1.0 + 1e-13
"""A float value must exceed the incumbent by this factor to be worth an exact evaluation."""


class Incumbents:
    """The largest exact gradient norm of every question so far.

    Attributes
    ----------
    targets
        The pairs and questions.
    lower
        Shape (Q,), at most the exact norm at `points`; 0 until something is found.
    points, rows
        Per question the interior point (n,) of the cell, and the number of the form.
    """

    def __init__(self, network: Network, box: Box, targets: Targets, coordinates: IntArray) -> None:
        self._network, self._box, self._coordinates = network, box, coordinates
        self.targets = targets
        count = len(targets.uses)
        self.lower: Vector = np.zeros(count)
        self.points: list[Vector | None] = [None] * count
        self.rows: list[int | None] = [None] * count

    def values(self, phases: Matrix) -> Matrix:
        """The float64 norms (M, P) of all pairs on the cells of complete patterns (M, neurons), entries 1 and -1."""
        forms, patterns = self.targets.forms, len(phases)
        basis = forms if len(forms) <= forms.shape[1] else np.eye(forms.shape[1])  # the logits, where they are fewer
        rows = np.tile(basis, (patterns, 1))
        zonotopes = gradient_zonotopes(self._network.compiled, rows, np.repeat(phases, len(basis), axis=0), self._coordinates)
        gradients = zonotopes.generators[:, 0].reshape(patterns, len(basis), len(self._coordinates))
        if basis is not forms:
            gradients = forms @ gradients
        values = np.empty((patterns, len(self.targets.form)))
        for norm in set(self.targets.norms):
            chosen = [p for p, n in enumerate(self.targets.norms) if n is norm]
            sizes = float_norms(gradients, norm)
            values[:, chosen] = sizes[:, self.targets.form[chosen]]
        return values

    def offer(self, points: Matrix, phases: Matrix, values: Matrix | None = None) -> None:
        """Take the best of some points (M, n) with the patterns (M, neurons) seen there."""
        values = self.values(phases) if values is None else values
        for q in range(len(self.lower)):
            own = np.flatnonzero(self.targets.uses[q])
            best = values[:, own].max(axis=1)
            for m in np.argsort(-best, kind="stable")[:3].tolist():
                if best[m] > self.lower[q] * _PROMISING and self.confirm(points[m], phases[m] > 0, self._better(values[m])):
                    break

    def _better(self, values: Vector) -> IntArray:
        """The pairs (P,) of which some question gains by these float norms."""
        least = np.where(self.targets.uses, self.lower[:, None], np.inf).min(axis=0)
        return np.flatnonzero(values > least * _PROMISING)

    def confirm(self, point: Vector, active: BoolArray, pairs: IntArray | None = None) -> bool:
        """Evaluate one cell exactly, for some pairs or all; false unless the point proves that it is full-dimensional."""
        if not interior_at(self._network, self._box, active, point):
            return False
        pairs = np.arange(len(self.targets.form)) if pairs is None else pairs
        forms, place = np.unique(self.targets.form[pairs], return_inverse=True)
        numerators, denominator = exact_gradient(self._network, active, self.targets.forms[forms])
        gradients = numerators[:, self._coordinates].tolist()
        for p, form in zip(pairs.tolist(), place.tolist(), strict=True):
            low = dual_norm_ends(gradients[form], denominator, self.targets.norms[p])[0]
            for q in np.flatnonzero(self.targets.uses[:, p]).tolist():
                if low > self.lower[q] or self.points[q] is None:
                    self.points[q], self.rows[q] = point, int(self.targets.rows[q, p])
                    self.lower[q] = max(low, self.lower[q])
        return True
