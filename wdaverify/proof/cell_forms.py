"""Where phases are decided, pre-activations and logits are affine forms of the inputs; and phases that hold on all of R^n."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir.compiled import AffineStep, InputStep

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.ir.compiled import CompiledNetwork


def cell_forms(compiled: CompiledNetwork, modes: Vector) -> tuple[Matrix, Matrix]:
    """Coefficients and constant of every z (neurons, n + 1) and logit (K, n + 1), in float64.

    Neurons of positive modes (neurons,) are active, all others are taken for 0.
    """
    values: dict[int, Matrix] = {}
    found = np.zeros((len(modes), compiled.steps[compiled.input].size + 1))
    for step in compiled.steps:
        if isinstance(step, InputStep):
            values[step.slot] = np.eye(step.size + 1, step.size)
        elif isinstance(step, AffineStep):
            total = np.sum([f.push(values[s]) for s, f in zip(step.sources, step.factors, strict=True)], axis=0)
            total[-1] += step.bias
            values[step.slot] = total
        else:
            found[step.neurons] = values[step.source].T
            values[step.slot] = np.where(modes[step.neurons] > 0, values[step.source], 0.0)
    return found, np.ascontiguousarray(values[compiled.output].T)


def decided_everywhere(compiled: CompiledNetwork) -> Vector:
    """Neurons (neurons,) that are active (1) or inactive (-1) on R^n by intervals, as the judge's propagation has it; 0 else."""
    ends: dict[int, tuple[Vector, Vector]] = {}
    modes = np.zeros(compiled.neurons)
    for step in compiled.steps:
        if isinstance(step, InputStep):
            ends[step.slot] = np.full(step.size, -np.inf), np.full(step.size, np.inf)
        elif isinstance(step, AffineStep):
            low, high = step.bias.copy(), step.bias.copy()
            for source, factor in zip(step.sources, step.factors, strict=True):
                (a, b), identity = ends[source], np.eye(len(ends[source][0]))
                matrix = factor.push(identity).T
                with np.errstate(invalid="ignore"):
                    products = np.where(matrix == 0.0, 0.0, matrix * a), np.where(matrix == 0.0, 0.0, matrix * b)
                low, high = low + np.minimum(*products).sum(axis=1), high + np.maximum(*products).sum(axis=1)
            ends[step.slot] = low, high
        else:
            low, high = ends[step.source]
            modes[step.neurons] = np.where(low >= 0.0, 1.0, np.where(high <= 0.0, -1.0, 0.0))
            ends[step.slot] = np.maximum(low, 0.0), np.maximum(high, 0.0)
    return modes
