"""Prices of order 1 on R^n: ``g(x) - lambda ||x - x_i|| <= s`` for one margin g of one sample, cell by cell.

There is no box to bound a neuron by. Where all neurons that raise g are decided, g is at most an affine form (those that lower
it are at least 0), and multipliers of the signs of decided neurons make it a form ``r . x + c`` with ``||r||_* <= lambda``, which
is largest at the sample: s needs ``r . x_i + c <= s``. A linear program finds such multipliers, with a little less than lambda,
so that their roundings have room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from wdaverify._types import Norm
from wdaverify.program.backend import SolveOptions
from wdaverify.program.program import Program, Sense
from wdaverify.proof.cell_forms import cell_forms, decided_everywhere
from wdaverify.proof.evidence import Evidence
from wdaverify.proof.gradients import GradientBounds
from wdaverify.proof.whole_space_constants import LARGEST, refuted_everywhere

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.ir.network import Network
    from wdaverify.proof.ledger import Emit, Ledger
    from wdaverify.search.relaxation import Path

_INSIDE = 1.0 - 2.0**-27
"""Part of lambda that the program may use; the rest is for its tolerances."""

_MOST = (2.0**5, 2.0**10, 2.0**15)
"""Multipliers, in units of their rows, are at most that, tried in this order: on an empty cell they have no other limit."""

_LEAST = 2.0**-40
"""Multipliers below this part of the largest one are left out."""

_ERROR = 2.0**-46
"""What float64 may lose, relative to all terms; the judge knows."""

_NODES = 4_000
"""Nodes that one margin may cost."""

_ZERO = 1e-12
"""Adjoints up to this part of the largest one count as 0; the judge knows."""


class WholeSpacePrice:
    """The proof of one price.

    Parameters
    ----------
    rivals, value
        Rows (J, K) of the logits, each of which is at most the value plus its price.
    center, norm, weight
        The sample (n,), and lambda > 0 with its norm: l1, linf, or on the line any.

    Attributes
    ----------
    missed
        By how much the value seems too low, after a proof that failed.
    """

    def __init__(
        self, ledger: Ledger, network: Network, rivals: Matrix, value: float, center: Vector, norm: Norm, weight: float
    ) -> None:
        self._ledger, self._network, self._rivals, self._norm = ledger, network, rivals, norm
        self._value, self._weight, self._center, self.missed = value, weight, center, np.inf

    def run(self, emit: Emit) -> bool:
        """Whether all targets are proved, with records to `emit`."""
        network = self._network
        if network.compiled.neurons * network.inputs > LARGEST or (self._norm is Norm.L2 and network.inputs > 1):
            return False
        if len(self._rivals) > 1:
            emit({"t": "targets"})
        return all(self._target(row, emit) for row in self._rivals)

    def _target(self, row: Vector, emit: Emit) -> bool:
        """Whether one margin is proved: phases are decided layer by layer."""
        compiled, layers = self._network.compiled, np.zeros(self._network.compiled.neurons, dtype=np.int64)
        for k, step in enumerate(compiled.relus):
            layers[step.neurons] = k
        always = decided_everywhere(compiled)
        stack: list[Path] = [()]
        bounds = GradientBounds(compiled, row, self._norm, np.ones(self._network.inputs, dtype=np.bool_))
        for _ in range(_NODES):
            if not stack or self._ledger.deadline.passed:
                break
            path = stack.pop()
            modes = always.copy()
            for d in path:
                modes[abs(d) - 1] = np.sign(d)
            undecided = np.flatnonzero(modes == 0)
            # How g changes with the output of every neuron, where undecided ones are taken for 0.
            pulls = bounds.adjoints(np.where(modes > 0, 1.0, -1.0)[None]).high[0]
            raising = bool((pulls[undecided] > _ZERO * max(1.0, float(np.abs(pulls).max(initial=0.0)))).any())
            record = self._empty(path, modes) if raising else self._leaf(row, path, modes, undecided[pulls[undecided] < 0.0])
            if record is not None:
                emit(record)
                continue
            if not len(undecided):
                return False
            first = undecided[layers[undecided] == layers[undecided].min()]
            k = int(first[np.argmax(bounds.reach(modes)[first])])
            emit({"t": "split", "n": k})
            stack += [(*path, -(k + 1)), (*path, k + 1)]
        return not stack

    def _empty(self, path: Path, modes: Vector) -> dict[str, Any] | None:
        """A leaf for a cell that has no points; so few halfspaces as there are inputs hardly contradict each other."""
        record = refuted_everywhere(self._ledger, self._network, path, modes) if len(path) > self._network.inputs else None
        return record if record is not None and record["k"] == "empty" else None

    def _leaf(self, row: Vector, path: Path, modes: Vector, lowering: IntArray) -> dict[str, Any] | None:
        """A leaf that bounds g less its price on a cell; else `missed` is what the program reached.

        The outputs of undecided neurons that lower g are at least 0, which is said where the judge may prefer z.
        """
        forms, outputs = cell_forms(self._network.compiled, modes)
        split = [abs(d) - 1 for d in path]
        form, rows = row @ outputs, modes[split][:, None] * forms[split]
        heights, height = rows[:, :-1] @ self._center + rows[:, -1], float(form[:-1] @ self._center + form[-1])
        for most in _MOST:
            weights = self._multipliers(form[:-1], rows[:, :-1], heights, most)
            if weights is None:
                continue
            value = height + float(weights @ heights) - self._value
            size = 1.0 + abs(self._value) + float(np.abs(form).sum() + weights @ np.abs(rows).sum(axis=1))
            value += _ERROR * size * (1.0 + float(np.abs(self._center).max()))
            length = self._dual_norm(form[:-1] + weights @ rows[:, :-1]) + _ERROR * size
            if value <= 0.0 and length <= self._weight:
                phases = {n: w for n, w in zip(split, weights.tolist(), strict=True) if w}
                used = Evidence(phases=phases, below=dict.fromkeys(lowering.tolist(), 0.0))
                return {"t": "leaf", "k": "bound", **used.fields()}
            self.missed = value
        return None

    def _dual_norm(self, form: Vector) -> float:
        return float(np.abs(form).sum() if self._norm is Norm.LINF else np.abs(form).max())

    def _multipliers(self, form: Vector, rows: Matrix, heights: Vector, most: float) -> Vector | None:
        """Nonnegative multipliers (k,) of rows (k, n) that lower the form most at the sample, within the price."""
        if not len(rows):
            return np.zeros(0)
        scale = np.abs(rows).max(axis=1)
        scale = np.where(scale > 0.0, scale, 1.0)
        (count, n), limit = rows.shape, self._weight * _INSIDE
        # rows^T mu - up + down = -form, with up + down at least the size of what is left
        equations = np.hstack([(rows / scale[:, None]).T, -np.eye(n), np.eye(n)])
        total = np.concatenate([np.zeros(count), np.ones(2 * n)])
        sum_ = limit if self._norm is Norm.LINF else np.inf
        program = Program(
            objective=np.concatenate([heights / scale, np.zeros(2 * n)]), matrix=csr_array(np.vstack([equations, total])),
            row_lower=np.append(-form, 0.0), row_upper=np.append(-form, sum_), lower=np.zeros(count + 2 * n),
            upper=np.concatenate([np.full(count, most), np.full(2 * n, limit)]),
            integer=np.zeros(count + 2 * n, dtype=np.bool_), sense=Sense.MINIMISE,
        )  # fmt: skip
        point = self._ledger.backend.solve(program, SolveOptions()).primal
        if point is None:
            return None
        found = np.maximum(point[:count], 0.0)
        return np.asarray(np.where(found > _LEAST * found.max(), found, 0.0) / scale)
