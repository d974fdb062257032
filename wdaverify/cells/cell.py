"""One activation cell as a polyhedron, with the affine function that the network is on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir.compiled import AffineStep, InputStep

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix, Vector
    from wdaverify.ir.compiled import CompiledNetwork


@dataclass(frozen=True, slots=True, eq=False)
class ActivationCell:
    """``{x in the box: rows @ x + offsets >= 0}``, where ``f(x) = weight @ x + bias``, in float64.

    Attributes
    ----------
    phases
        The pattern (neurons,), numbered as in `CompiledNetwork`; true where a neuron is active.
    rows, offsets
        The pre-activations as affine functions, negated for inactive neurons; shapes (neurons, n) and (neurons,).
    weight, bias
        Shapes (K, n) and (K,).
    """

    phases: BoolArray
    rows: Matrix
    offsets: Vector
    weight: Matrix
    bias: Vector


def activation_cell(compiled: CompiledNetwork, phases: BoolArray) -> ActivationCell:
    """Replace every ReLU by its phase and accumulate the affine functions forward; the cost is n columns.

    The cell may be empty or thin: `cells.interior` decides that. Nothing bounds the roundings.

    Examples
    --------
    ``f = |x|`` left of 0:

    >>> from scipy.sparse import csr_array
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, 1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> cell = activation_cell(Network.from_nodes(nodes, "y").compiled, np.array([False, True]))
    >>> cell.weight.tolist(), cell.rows.tolist()
    ([[-1.0]], [[-1.0], [-1.0]])
    """
    phases = np.asarray(phases, dtype=np.bool_)
    pieces: list[Matrix] = []  # weight and bias side by side, (size, n + 1)
    rows = np.empty((compiled.neurons, compiled.inputs + 1))
    for step in compiled.steps:
        if isinstance(step, InputStep):
            pieces.append(np.eye(step.size, step.size + 1))
        elif isinstance(step, AffineStep):
            piece = np.zeros((step.size, compiled.inputs + 1))
            piece[:, -1] = step.bias
            for factor, source in zip(step.factors, step.sources, strict=True):
                piece += factor.matrix @ pieces[source]
            pieces.append(piece)
        else:
            piece = pieces[step.source]
            rows[step.neurons] = piece
            pieces.append(np.where(phases[step.neurons, None], piece, 0.0))
    signed = np.where(phases[:, None], rows, -rows)
    logits = pieces[compiled.output]
    return ActivationCell(phases, signed[:, :-1], signed[:, -1], logits[:, :-1], logits[:, -1])
