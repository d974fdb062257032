"""Proofs in rational arithmetic that an activation cell has no interior.

Let s_k z_k be the pre-activations as affine functions on the cell of a pattern, negated for inactive neurons. In an interior
point all of them are at least 0, and those with a gradient in a free coordinate are greater (a nonconstant affine function
that is >= 0 on an open set has no zero in it). So the cell has no interior if some weights w >= 0 give

    max over the box of  sum_k w_k s_k z_k(x)   < 0,     or   = 0  where some w_k > 0 has a gradient in a free coordinate,

which is Farkas' lemma (Schrijver, *Theory of Linear and Integer Programming*, section 7.8) and its alternative for strict
inequalities (Motzkin). Neurons that vanish identically add 0 on both sides and exclude nothing.

The weights come from a solver. Where the maximum is to be exactly 0 they must be exact as well: they are rounded to a short
grid first, and if that is not enough, those that are not 0 are computed afresh from the condition that gradients cancel.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir.exact_piece import exact_forms, exact_forms_of_neurons
from wdaverify.ir.rational import common_denominator, dyadic, quotients

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, ObjectArray, Vector
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network

_GRID = 2.0**24
"""Weights relative to the largest are rounded to multiples of its inverse."""

_SUPPORT = 1e-7
"""Weights below this part of the largest count as a solver's noise where exact ones are computed."""

_LARGEST = 48
"""Most weights that are computed exactly: the numbers grow with every one."""


def proves_no_interior(network: Network, box: Box, phases: BoolArray, weights: Vector) -> bool:
    """Whether the weights (neurons,), or exact ones near them, prove that the cell of a pattern has no interior in the box.

    Nothing is trusted: entries that are negative or no number count as 0.

    Parameters
    ----------
    weights
        Of the signed pre-activations.
    """
    weights = np.where(np.isfinite(weights) & (weights > 0.0), weights, 0.0)
    largest = float(weights.max(initial=0.0))
    if largest <= 0.0:
        return False
    neurons = np.flatnonzero(weights)
    for tried in (np.round(weights[neurons] / largest * _GRID), weights[neurons]):
        (numerators,), _ = dyadic([tried])
        if _excludes(network, box, phases, neurons, numerators):
            return True
    neurons = np.flatnonzero(weights > _SUPPORT * largest)
    exact = _cancelling(network, box, phases, neurons, weights[neurons] / largest)
    return exact is not None and _excludes(network, box, phases, neurons, exact)


def _excludes(network: Network, box: Box, phases: BoolArray, neurons: IntArray, weights: ObjectArray) -> bool:
    """The criterion itself, for integer weights >= 0 of some neurons."""
    seeds: dict[int, ObjectArray] = {}
    signed = np.zeros(network.compiled.neurons, dtype=object)
    signed[neurons] = np.where(phases[neurons], weights, -weights)
    for step in network.compiled.relus:
        row = signed[step.neurons][None]
        if (row != 0).any():
            seeds[step.source] = seeds[step.source] + row if step.source in seeds else row
    if not seeds:
        return False
    form = exact_forms(network, phases, seeds, 1)
    maximum = _maximum(form.coefficients[0], int(form.constants[0]), form.denominator, box)
    if maximum is None or maximum > 0:
        return False
    if maximum < 0:
        return True
    free = box.lower < box.upper
    if (form.coefficients[0][free] != 0).any():  # attained on the boundary of the box only
        return True
    positive = neurons[weights > 0]
    return bool((exact_forms_of_neurons(network, phases, positive).coefficients[:, free] != 0).any())


def _maximum(coefficients: ObjectArray, constant: int, denominator: int, box: Box) -> Fraction | None:
    """The largest value of ``(coefficients . x + constant) / denominator`` on the box; ``None`` if it is infinite."""
    total = Fraction(constant)
    for a, low, high in zip(coefficients.tolist(), box.lower.tolist(), box.upper.tolist(), strict=True):
        if a:
            end = high if a > 0 else low
            if not np.isfinite(end):
                return None
            total += a * Fraction(end)
    return total / denominator


def _cancelling(network: Network, box: Box, phases: BoolArray, neurons: IntArray, weights: Vector) -> ObjectArray | None:
    """Exact weights near the given ones whose sum has no gradient where theirs has none, as integers; or ``None``."""
    if not 0 < len(neurons) <= _LARGEST:
        return None
    forms = exact_forms_of_neurons(network, phases, neurons)
    signed = np.where(phases[neurons, None], forms.coefficients, -forms.coefficients)
    floats = quotients(signed, forms.denominator)
    free = np.flatnonzero(box.lower < box.upper)
    sums, sizes = np.abs(weights @ floats)[free], (weights @ np.abs(floats))[free]
    columns = free[sums <= _SUPPORT * np.maximum(sizes, np.finfo(float).tiny)]
    found = null_vector(signed[:, columns], weights)
    return found if found is not None and (found >= 0).all() else None


def null_vector(matrix: ObjectArray, near: Vector) -> ObjectArray | None:
    """Integers w with ``w @ matrix == 0`` exactly, near a multiple of `near` if a solution is; ``None`` if only 0 is one.

    Gauss-Jordan elimination over the rationals; unknowns without a pivot keep their value on a grid. The largest entries of
    `near` are eliminated first, so that what rounding changes is small.

    Parameters
    ----------
    matrix
        Integers of shape (R, C).

    Examples
    --------
    >>> null_vector(np.array([[2], [-3]], dtype=object), np.array([1.0, 0.6667])).tolist()
    [3, 2]
    """
    order = np.argsort(-near, kind="stable")
    system = [[Fraction(int(v)) for v in row] for row in matrix[order].T.tolist()]
    pivots: list[tuple[int, list[Fraction]]] = []
    for equation in system:
        for column, pivot in pivots:
            if equation[column]:
                factor = equation[column]
                equation = [a - factor * b for a, b in zip(equation, pivot, strict=True)]
        lead = next((j for j, a in enumerate(equation) if a), None)
        if lead is None:
            continue
        equation = [a / equation[lead] for a in equation]
        pivots = [(c, [a - p[lead] * b for a, b in zip(p, equation, strict=True)] if p[lead] else p) for c, p in pivots]
        pivots.append((lead, equation))
    leads = {lead for lead, _ in pivots}
    if len(leads) == len(order):
        return None
    solution = [Fraction(0) if j in leads else Fraction(round(near[k] * _GRID)) for j, k in enumerate(order.tolist())]
    for lead, equation in pivots:
        solution[lead] = -sum(
            (a * s for j, (a, s) in enumerate(zip(equation, solution, strict=True)) if j not in leads), Fraction(0)
        )
    (numerators,), _ = common_denominator([solution])
    result = np.zeros(len(order), dtype=object)
    result[order] = numerators // (math.gcd(*numerators.tolist()) or 1)
    return result
