"""Prices of order 1 on R^n: ``g(x) - lambda ||x - x_i|| <= s`` for one margin g of one sample, cell by cell.

There is no box to bound a neuron by. Where all neurons that raise g are decided, g is at most an affine form (those that lower
it are at least 0), and multipliers of the signs of decided neurons make it a form ``r . x + c`` with ``||r||_* <= lambda``, which
is largest at the sample: s needs ``r . x_i + c <= s``. A linear program finds such multipliers, rational arithmetic says whether
they do.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, diags_array, hstack, vstack

from wdaverify._types import Norm
from wdaverify.program.backend import SolveOptions
from wdaverify.program.program import Program, Sense
from wdaverify.proof.evidence import Evidence
from wdaverify.proof.gradients import GradientBounds
from wdaverify.proof.thin import exact_forms, exact_outputs
from wdaverify.proof.whole_space_constants import LARGEST, NODES, refuted_everywhere

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.ir.network import Network
    from wdaverify.proof.ledger import Emit, Ledger
    from wdaverify.search.relaxation import Path

_INSIDE = 1.0 - 2.0**-32
"""Part of lambda that the program may use; the rest is for its tolerances."""

_MOST = (2.0**8, 2.0**18)
"""Multipliers, in units of their rows, are at most that, tried in this order: on an empty cell they have no other limit."""

_LEAST = 2.0**-40
"""Multipliers below this part of the largest one are left out."""

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
        self._value, self._weight, self.missed = Fraction(value), weight, np.inf
        self._center = [Fraction(v) for v in center.tolist()]

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
        stack: list[Path] = [()]
        bounds = GradientBounds(compiled, row, self._norm, np.ones(self._network.inputs, dtype=np.bool_))
        for _ in range(NODES):
            if not stack or self._ledger.deadline.passed:
                break
            path = stack.pop()
            modes = np.zeros(compiled.neurons)
            for d in path:
                modes[abs(d) - 1] = np.sign(d)
            undecided = np.flatnonzero(modes == 0)
            raising = self._raising(bounds, modes, undecided)
            record = self._leaf(row, path, modes) if not raising else self._empty(path, modes)
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

    @staticmethod
    def _raising(bounds: GradientBounds, modes: Vector, undecided: IntArray) -> bool:
        """Whether g may rise with an undecided neuron, where all of them are taken for 0."""
        high = bounds.adjoints(np.where(modes > 0, 1.0, -1.0)[None]).high[0]
        return bool((high[undecided] > _ZERO * max(1.0, float(np.abs(high).max(initial=0.0)))).any())

    def _empty(self, path: Path, modes: Vector) -> dict[str, Any] | None:
        record = refuted_everywhere(self._ledger, self._network, path, modes) if path else None
        return record if record is not None and record["k"] == "empty" else None

    def _leaf(self, row: Vector, path: Path, modes: Vector) -> dict[str, Any] | None:
        """A leaf that bounds g less its price on a cell; else `missed` is what the program reached."""
        outputs = exact_outputs(self._network, modes)
        form = [sum((Fraction(w) * f[k] for w, f in zip(row.tolist(), outputs, strict=True)), Fraction(0)) for k in self._columns]
        forms, split = exact_forms(self._network, modes), [abs(d) - 1 for d in path]
        rows = [[int(modes[n]) * v for v in forms[n]] for n in split]
        for most in _MOST:
            weights = self._multipliers(form, rows, most)
            if weights is None:
                continue
            total = [sum((w * r[k] for w, r in zip(weights, rows, strict=True)), form[k]) for k in self._columns]
            value = self._at_center(total) - self._value
            if value <= 0 and self._dual_norm(total[:-1]) <= Fraction(self._weight):
                used = Evidence(phases={n: w for n, w in zip(split, weights, strict=True) if w})
                return {"t": "leaf", "k": "bound", **used.fields()}
            self.missed = float(value)
        return None

    @property
    def _columns(self) -> range:
        return range(self._network.inputs + 1)

    def _at_center(self, form: Sequence[Fraction]) -> Fraction:
        return sum((a * c for a, c in zip(form, self._center, strict=False)), form[-1])

    def _dual_norm(self, form: Sequence[Fraction]) -> Fraction:
        sizes = [abs(v) for v in form]
        return sum(sizes, Fraction(0)) if self._norm is Norm.LINF else max(sizes)

    def _multipliers(self, form: list[Fraction], rows: list[list[Fraction]], most: float) -> list[Fraction] | None:
        """Nonnegative multipliers of the rows that lower the form at the sample most, within the price."""
        if not rows:
            return []
        scale = [max((abs(v) for v in row), default=Fraction(0)) or Fraction(1) for row in rows]
        matrix = np.array([[float(v / q) for v in row[:-1]] for row, q in zip(rows, scale, strict=True)])
        heights = np.array([float(self._at_center(row) / q) for row, q in zip(rows, scale, strict=True)])
        (count, n), limit = matrix.shape, self._weight * _INSIDE
        # matrix^T mu - up + down = -r, with up + down at least the size of what is left
        equations = hstack([csr_array(matrix.T), -diags_array(np.ones(n)), diags_array(np.ones(n))])
        total = csr_array(np.concatenate([np.zeros(count), np.ones(2 * n)])[None])
        rest, sum_ = -np.array([float(v) for v in form[:-1]]), limit if self._norm is Norm.LINF else np.inf
        program = Program(
            objective=np.concatenate([heights, np.zeros(2 * n)]), matrix=csr_array(vstack([equations, total])),
            row_lower=np.append(rest, 0.0), row_upper=np.append(rest, sum_), lower=np.zeros(count + 2 * n),
            upper=np.concatenate([np.full(count, most), np.full(2 * n, limit)]),
            integer=np.zeros(count + 2 * n, dtype=np.bool_), sense=Sense.MINIMISE,
        )  # fmt: skip
        point = self._ledger.backend.solve(program, SolveOptions()).primal
        if point is None:
            return None
        weights = np.where(point[:count] > _LEAST * point[:count].max(), np.maximum(point[:count], 0.0), 0.0)
        return [Fraction(w) / q for w, q in zip(weights.tolist(), scale, strict=True)]
