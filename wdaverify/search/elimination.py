"""Eliminate the neurons of known phase: what is left of a network is affine in its inputs and in its free neurons' outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, diags_array, vstack

from wdaverify.ir.compiled import AffineStep, InputStep

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix, SparseMatrix, Vector
    from wdaverify.ir.compiled import CompiledNetwork


@dataclass(frozen=True, slots=True, eq=False)
class Eliminated:
    """Affine forms over the columns (c + m): c of the inputs, then y of the m free neurons; computed in float64.

    Attributes
    ----------
    definitions, constants
        Pre-activations of the free neurons, (m, c + m) and (m,).
    logits, offsets
        The outputs, (K, c + m) and (K,).
    """

    definitions: Matrix | SparseMatrix
    constants: Vector
    logits: Matrix | SparseMatrix
    offsets: Vector


def eliminate(
    compiled: CompiledNetwork, matrix: Matrix | SparseMatrix, origin: Vector, *, dead: BoolArray, free: IntArray
) -> Eliminated:
    """Substitute forward. Neurons that are neither free nor dead pass their pre-activation.

    Parameters
    ----------
    matrix, origin
        The inputs are ``matrix v + origin``, shapes (n, c) and (n,); all forms are dense if `matrix` is.
    dead
        Which neurons are 0, shape (neurons,).
    free
        The neurons with columns, ascending, shape (m,).
    """
    first, columns = matrix.shape[1], matrix.shape[1] + len(free)
    forms: list[Matrix | SparseMatrix] = []
    values: list[Vector] = []
    defined: list[Matrix | SparseMatrix] = []
    constants: list[Vector] = [np.zeros(0)]
    for step in compiled.steps:
        if isinstance(step, InputStep):
            forms.append(_widened(matrix, columns))
            values.append(origin)
        elif isinstance(step, AffineStep):
            form: Matrix | SparseMatrix = step.factors[0].matrix @ forms[step.sources[0]]
            value = step.bias + step.factors[0].matrix @ values[step.sources[0]]
            for factor, source in zip(step.factors[1:], step.sources[1:], strict=True):
                form = form + factor.matrix @ forms[source]
                value = value + factor.matrix @ values[source]
            forms.append(form)
            values.append(value)
        else:
            form, value = forms[step.source], values[step.source]
            start, end = np.searchsorted(free, [step.first, step.first + step.size])
            here = free[start:end] - step.first
            defined.append(form[here])
            constants.append(value[here])
            passing = ~dead[step.neurons]
            passing[here] = False
            forms.append(_with_units(form, passing, here, first + np.arange(start, end)))
            values.append(np.where(passing, value, 0.0))
    return Eliminated(_stacked(defined, columns), np.concatenate(constants), forms[compiled.output], values[compiled.output])


def _widened(matrix: Matrix | SparseMatrix, columns: int) -> Matrix | SparseMatrix:
    """The matrix with zero columns to the right."""
    if isinstance(matrix, np.ndarray):
        return np.concatenate([matrix, np.zeros((matrix.shape[0], columns - matrix.shape[1]))], axis=1)
    return csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], columns))


def _with_units(form: Matrix | SparseMatrix, passing: BoolArray, here: IntArray, columns: IntArray) -> Matrix | SparseMatrix:
    """The rows that pass, and unit rows for free neurons."""
    if isinstance(form, np.ndarray):
        kept = np.where(passing[:, None], form, 0.0)
        kept[here, columns] = 1.0
        return kept
    units = csr_array((np.ones(len(here)), (here, columns)), shape=form.shape)
    return csr_array(diags_array(passing.astype(np.float64)) @ form + units)


def _stacked(parts: list[Matrix | SparseMatrix], columns: int) -> Matrix | SparseMatrix:
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate([np.zeros((0, columns)), *parts])
    return csr_array(vstack([csr_array((0, columns)), *parts]))
