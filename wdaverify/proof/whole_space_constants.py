"""Proofs of Lipschitz constants on R^n: phases are decided layer by layer, and cells without generic points are refuted exactly.

There is no box to bound anything by: the multipliers of ``s_n z_n >= 0`` that refute a node must cancel in every input, to the
last bit. A linear program says which neurons they belong to; the multipliers are then solved for in rational arithmetic.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from wdaverify.program.backend import SolveOptions
from wdaverify.program.program import Program, Sense
from wdaverify.proof.cell_forms import cell_forms
from wdaverify.proof.gradients import GradientBounds
from wdaverify.proof.thin import exact_forms

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Norm, Vector
    from wdaverify.ir.network import Network
    from wdaverify.proof.ledger import Emit, Ledger
    from wdaverify.search.relaxation import Path

_NODES = 20_000
"""Nodes that one constant or price may cost."""

LARGEST = 2**12
"""Neurons times inputs, beyond which forms of cells are not computed."""

_TIE = 1.0 + 2.0**-46
"""As in `gradient_tree`: a float bound may be the value itself; the judge knows."""

_THICK = 1e-9
"""A cell that holds a point so far inside, in units of its rows, is not tried to be refuted."""

_DUAL = 1e-9
"""Multipliers from here on count."""


def bounded_everywhere(ledger: Ledger, network: Network, row: Vector, value: float, norm: Norm, emit: Emit) -> bool:
    """Whether no generic point of R^n has a longer gradient of ``row . f``, with records to `emit`."""
    compiled = network.compiled
    if compiled.neurons * network.inputs > LARGEST:
        return False
    layers = np.zeros(compiled.neurons, dtype=np.int64)
    for k, step in enumerate(compiled.relus):
        layers[step.neurons] = k
    stack: list[Path] = [()]
    bounds = GradientBounds(compiled, row, norm, np.ones(network.inputs, dtype=np.bool_))
    for _ in range(_NODES):
        if not stack or ledger.deadline.passed:
            break
        path = stack.pop()
        modes = np.zeros(compiled.neurons)
        for d in path:
            modes[abs(d) - 1] = np.sign(d)
        if bounds.largest(modes[None])[0] <= value * _TIE:
            emit({"t": "leaf", "k": "jac"})
            continue
        record = refuted_everywhere(ledger, network, path, modes) if path else None
        if record is not None:
            emit(record)
            continue
        undecided = np.flatnonzero(modes == 0)
        first = undecided[layers[undecided] == layers[undecided].min(initial=len(layers))]
        chosen = bounds.branching(modes, value, among=first)
        if chosen is None:
            return False
        emit({"t": "split", "n": chosen})
        stack += [(*path, -chosen - 1), (*path, chosen + 1)]
    return not stack


def refuted_everywhere(ledger: Ledger, network: Network, path: Path, modes: Vector) -> dict[str, Any] | None:
    """A leaf *empty* or *thin*; ``None`` if the cell has generic points, or may have."""
    split = [abs(d) - 1 for d in path]
    near = cell_forms(network.compiled, modes)[0][split]
    weights = _proposed(ledger, modes[split][:, None] * near)
    if weights is None:
        return None
    forms = exact_forms(network, modes)
    rows = [[int(modes[n]) * v for v in forms[n]] for n in split]
    support = [k for k, w in enumerate(weights) if w > _DUAL]
    chosen = _cancelling([rows[k][:-1] for k in support], [Fraction(float(weights[k])) for k in support])
    if chosen is None or not any(chosen):
        return None
    total = sum((w * rows[k][-1] for w, k in zip(chosen, support, strict=True)), Fraction(0))
    if total > 0:
        return None
    whole = lcm(*(w.denominator for w in chosen))
    used = sorted((split[k], str(int(w * whole))) for w, k in zip(chosen, support, strict=True) if w)
    return {"t": "leaf", "k": "empty" if total < 0 else "thin", "p": [0, [v for pair in used for v in pair]]}


def _proposed(ledger: Ledger, matrix: Matrix) -> Vector | None:
    """Multipliers of ``rows . (x, 1) >= t`` where t is largest, if it is hardly positive; in units of the rows."""
    scale = np.abs(matrix).max(axis=1, keepdims=True)
    scale = np.where(scale > 0, scale, 1.0)
    scaled, (count, width) = matrix / scale, matrix.shape
    goal, infinite = np.zeros(width), np.full(width, np.inf)
    goal[-1] = 1.0
    program = Program(
        objective=goal, matrix=csr_array(np.column_stack([scaled[:, :-1], -np.ones(count)])), row_lower=-scaled[:, -1],
        row_upper=np.full(count, np.inf), lower=-infinite, upper=np.append(infinite[1:], 1.0),
        integer=np.zeros(width, dtype=np.bool_), sense=Sense.MAXIMISE,
    )  # fmt: skip
    answer = ledger.backend.solve(program, SolveOptions())
    duals, thickness = answer.row_duals, answer.objective
    if thickness is None or thickness > _THICK or duals is None or duals.shape != (count,) or not np.isfinite(duals).all():
        return None
    return np.asarray(np.abs(duals) / scale[:, 0])


def _cancelling(rows: list[list[Fraction]], near: list[Fraction]) -> list[Fraction] | None:
    """Nonnegative multipliers near the given ones, with ``sum w_k rows_k = 0`` exactly; ``None`` if there are none so near.

    Examples
    --------
    >>> _cancelling([[Fraction(3)], [Fraction(-1)]], [Fraction(1, 3), Fraction(1)])
    [Fraction(1, 3), Fraction(1, 1)]
    """
    equations = [list(column) for column in zip(*rows, strict=True)]
    pivots: list[int] = []
    for k in range(len(rows)):
        pivot = next((e for e in range(len(pivots), len(equations)) if equations[e][k]), None)
        if pivot is None:
            continue
        top = len(pivots)
        equations[top], equations[pivot] = equations[pivot], equations[top]
        first = equations[top][k]
        equations[top] = [v / first for v in equations[top]]
        for e, equation in enumerate(equations):
            if e != top and equation[k]:
                factor = equation[k]
                equations[e] = [v - factor * u for v, u in zip(equation, equations[top], strict=True)]
        pivots.append(k)
    weights = [Fraction(0) if k in pivots else w for k, w in enumerate(near)]
    for equation, k in zip(equations, pivots, strict=False):
        weights[k] = -sum((v * weights[j] for j, v in enumerate(equation) if j not in pivots), Fraction(0))
    return weights if all(w >= 0 for w in weights) else None
