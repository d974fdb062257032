"""The affine function that a network is on one activation cell, in exact rational arithmetic.

With the phases of all neurons fixed every ReLU is a multiplication by 0 or 1. Linear forms of any slots are pulled back to the
input by the transposed weights (reverse accumulation), which costs one pass for each form whatever the number of inputs.
Numbers are Python integers over one common denominator, as in `ir.exact`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify.ir.compiled import AffineStep, InputStep
from wdaverify.ir.exact import exact_affine, exact_point
from wdaverify.ir.ops import Affine
from wdaverify.ir.rational import dyadic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from numpy.typing import ArrayLike

    from wdaverify._types import BoolArray, IntArray, ObjectArray
    from wdaverify.ir.exact import Rationals
    from wdaverify.ir.network import Network


class ExactForms(NamedTuple):
    """Affine functions of the input, ``(coefficients @ x + constants) / denominator``.

    Attributes
    ----------
    coefficients, constants
        Integers of shapes (R, n) and (R,).
    denominator
        Positive.
    """

    coefficients: ObjectArray
    constants: ObjectArray
    denominator: int


def exact_forms(network: Network, phases: BoolArray, seeds: Mapping[int, ObjectArray], denominator: int) -> ExactForms:
    """Write ``sum_s seeds[s] . value(s) / denominator`` as functions of the input on a cell.

    Parameters
    ----------
    phases
        Of all neurons, as `CompiledNetwork` numbers them; true where active.
    seeds
        Slot to integers (R, size of the slot); the R forms are sums over the slots.
    """
    compiled, pending = network.compiled, dict(seeds)
    count = len(next(iter(seeds.values())))
    constants: ObjectArray = np.zeros(count, dtype=object)
    coefficients: ObjectArray = np.zeros((count, network.inputs), dtype=object)
    for step in reversed(compiled.steps):
        rows = pending.pop(step.slot, None)
        if rows is None:
            continue
        if isinstance(step, InputStep):
            coefficients = rows
        elif isinstance(step, AffineStep):
            op = network.op(compiled.names[step.slot])
            assert isinstance(op, Affine)
            factor = op.rational.denominator
            if factor != 1:  # all that is kept stands over one denominator
                denominator *= factor
                constants, coefficients = constants * factor, coefficients * factor
                pending = {slot: others * factor for slot, others in pending.items()}
            constants = constants + rows @ op.rational.bias
            for k, source in enumerate(step.sources):
                _add(pending, source, (op.transposed[k] @ rows.T).T)
        else:
            _add(pending, step.source, np.where(phases[step.neurons], rows, 0).astype(object))
    return ExactForms(coefficients, constants, denominator)


def _add(pending: dict[int, ObjectArray], slot: int, rows: ObjectArray) -> None:
    pending[slot] = pending[slot] + rows if slot in pending else rows


def exact_gradient(network: Network, phases: BoolArray, rows: ArrayLike) -> Rationals:
    """The gradients of linear forms of the logits on the cell of a pattern, exactly.

    Parameters
    ----------
    phases
        Shape (neurons,); true where active.
    rows
        The forms c, shape (R, K) or (K,); the floats count as they are.

    Returns
    -------
    numerators, denominator
        ``J^T c`` for every form, shape (R, n), as integers over one positive denominator.

    Examples
    --------
    ``f = 0.5 relu(x) + relu(-x)`` where only the first neuron is active:

    >>> from scipy.sparse import csr_array
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Input, Relu
    >>> split = Affine((csr_array(np.array([[1.0], [-1.0]])),), np.zeros(2))
    >>> join = Affine((csr_array(np.array([[0.5, 1.0]])),), np.zeros(1))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "y": Node(Relu(2), ("z",)), "f": Node(join, ("y",))}
    >>> exact_gradient(Network.from_nodes(nodes, "f"), np.array([True, False]), [1.0])
    (array([[1]], dtype=object), 2)
    """
    (numerators,), denominator = dyadic([np.atleast_2d(np.asarray(rows, dtype=np.float64))])
    if len(numerators) > network.outputs:  # the pass through the network costs by the row: one per logit is enough
        identity = np.eye(network.outputs, dtype=np.int64).astype(object)
        logits = exact_forms(network, phases, {network.compiled.output: identity}, 1)
        return numerators @ logits.coefficients, denominator * logits.denominator
    forms = exact_forms(network, phases, {network.compiled.output: numerators}, denominator)
    return forms.coefficients, forms.denominator


def exact_forms_of_neurons(network: Network, phases: BoolArray, neurons: IntArray) -> ExactForms:
    """The pre-activations of some neurons (R,) on the cell of a pattern, in their order."""
    seeds: dict[int, ObjectArray] = {}
    for step in network.compiled.relus:
        here = np.flatnonzero((neurons >= step.first) & (neurons < step.first + step.size))
        if len(here):
            rows = np.zeros((len(neurons), step.size), dtype=object)
            rows[here, neurons[here] - step.first] = 1
            _add(seeds, step.source, rows)
    if not seeds:
        return ExactForms(np.zeros((0, network.inputs), dtype=object), np.zeros(0, dtype=object), 1)
    return exact_forms(network, phases, seeds, 1)


def exact_pre_activations(
    network: Network, phases: BoolArray, point: Sequence[float | Fraction]
) -> tuple[ObjectArray, ObjectArray]:
    """The values of all pre-activations at a point (n,) when the ReLUs are replaced by the phases of a pattern.

    They are those of the network itself as long as no sign contradicts its phase.

    Returns
    -------
    numerators, denominators
        Integers of shape (neurons,); the denominators are positive.
    """
    compiled = network.compiled
    values: list[Rationals] = []
    numerators, denominators = np.zeros((2, compiled.neurons), dtype=object)
    for step in compiled.steps:
        if isinstance(step, InputStep):
            values.append(exact_point(point))
        elif isinstance(step, AffineStep):
            op = network.op(compiled.names[step.slot])
            assert isinstance(op, Affine)
            values.append(exact_affine(op, [values[s] for s in step.sources]))
        else:
            row, denominator = values[step.source]
            numerators[step.neurons], denominators[step.neurons] = row, denominator
            values.append((np.where(phases[step.neurons], row, 0).astype(object), denominator))
    return numerators, denominators
