r"""LipSDP: an upper bound of a Lipschitz constant by semidefinite programming, with a verified dual point.

For two points of a region let ``dz``, ``dy`` be the differences of an open ReLU before and after. It is nondecreasing and
1-Lipschitz, so that ``dy (dz - dy) >= 0``. With ``dz_i = E_i v`` and ``c^T df = o^T v`` linear in ``v = (dx, dy)``
(`difference_forms`), any ``mu, t >= 0`` with

.. math:: P(\mu, t) = \mathrm{diag}(\mu, 0) - o o^T - \sum_i t_i (e_i E_i^T + E_i e_i^T - 2 e_i e_i^T) \succeq 0

prove ``(c^T df)^2 <= sum_k mu_k dx_k^2``, since every term of the sum is nonnegative at the differences of two points. Over the
unit ball of the inputs' norm the right side is at most ``max mu`` for l2 and l1, and ``sum mu`` for linf. This is Fazlyab, Robey,
Hassani, Morari, Pappas, *Efficient and accurate estimation of Lipschitz constants for deep neural networks* (LipSDP-Neuron),
NeurIPS 2019, with phases that bounds decide on the region substituted, and on any acyclic graph. The l1 bound is the l2 bound
(``||dx||_2 <= ||dx||_1``); the linf form is that of Wang, Prakriya, Jha, *A quantitative geometric approach to neural-network
smoothness*, NeurIPS 2022, and at least as good as ``sqrt(n)`` times the l2 bound, which is the case of equal mu.

A solver only proposes (mu, t). `positive.is_positive_semidefinite` decides, in error-bounded arithmetic over the stored weights.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.bounds.crown import crown_bounds
from wdaverify.bounds.difference_forms import DifferenceForms, difference_forms, open_neurons
from wdaverify.bounds.positive import is_positive_semidefinite
from wdaverify.bounds.rounding import INFLATION, gamma
from wdaverify.domain import Regions
from wdaverify.transport import sqrt_up

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network

MAX_VARIABLES = 64
"""Inputs and open neurons together: a program of this size takes some 5 s, and the time grows with the fifth power."""

_MARGIN = 1e-8
"""Part of its size that P is asked to be away from singular, so that rounding leaves room for a proof."""

_RAISES = (0.0, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
"""Parts by which mu is raised until P is proved."""


@dataclass(frozen=True, slots=True, eq=False)
class LipSdp:
    """Bounds of several forms.

    Attributes
    ----------
    values
        Shape (R,), proved; ``inf`` where the method gives nothing.
    reason
        Why some value is infinite; empty if none is.
    """

    values: Vector
    reason: str = ""


def lipsdp_bounds(network: Network, box: Box, rows: Matrix, *, norm: Norm, deadline: Deadline) -> LipSdp:
    """Bound the Lipschitz constant of linear forms of the outputs on a box from above by LipSDP.

    Parameters
    ----------
    box
        Its pre-activation bounds (CROWN) decide phases; an unbounded one leaves them open. Coordinates of width 0 do not count.
    rows
        Linear forms (R, K), exact as given; one semidefinite program each.
    norm
        The norm of the inputs.

    Returns
    -------
    LipSdp
        Proved in real arithmetic over the exact weights. Nothing for more than `MAX_VARIABLES` inputs and open neurons.
    """
    regions = Regions.of_box(box, network.inputs)
    bounds, lower, upper = crown_bounds(network, regions), regions.lower[0], regions.upper[0]
    variables = int((lower < upper).sum()) + open_neurons(network, bounds)
    nothing = np.full(len(rows), np.inf)
    if variables > MAX_VARIABLES:
        return LipSdp(nothing, f"{variables} inputs and open neurons, more than {MAX_VARIABLES}")
    forms = difference_forms(network, bounds).varying(lower < upper)
    values = np.array([_bound(_Task.of(forms, row, norm), deadline) for row in rows])
    return LipSdp(values, "" if np.isfinite(values).all() else "no proof in time" if deadline.passed else "no proof")


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """One semidefinite program in variables scaled by powers of two, which loses nothing.

    ``dy_i = scale_i dy'_i`` and ``c^T df = size o^T v'``: all differences are then of size about 1.
    """

    norm: Norm
    inputs: int
    rows: Matrix
    row_error: Matrix
    output: Vector
    output_error: Vector
    size: float

    @staticmethod
    def of(forms: DifferenceForms, row: Vector, norm: Norm) -> _Task:
        """Scale the forms of one row (K,)."""
        n, center, radius = forms.inputs, forms.open.center, forms.open.radius
        scale = np.ones(center.shape[1])
        for i in range(len(center)):  # a rough Lipschitz constant of each neuron
            scale[n + i] = _power_of_two(float(np.linalg.norm(center[i] * scale)))
        with np.errstate(over="ignore", invalid="ignore"):
            output = row @ forms.outputs.center
            sizes = np.abs(row) @ (np.abs(forms.outputs.center) + forms.outputs.radius)
            error = np.abs(row) @ forms.outputs.radius + INFLATION * gamma(len(row) + 8) * sizes + TINY
            size = _power_of_two(float(np.linalg.norm(output * scale)))
            own = scale[n:, None]
            return _Task(
                norm, n, center * scale / own, radius * scale / own, output * scale / size, error * scale / size, size
            )  # fmt: skip

    def matrix(self, mu: Vector, t: Vector) -> tuple[Matrix, Matrix]:
        """P and a bound of its errors, entry by entry."""
        n, m = self.inputs, len(self.rows)
        products = np.zeros((n + m, n + m))
        products[n:] = t[:, None] * self.rows
        square = np.outer(self.output, self.output)
        diagonal = np.concatenate([mu, 2.0 * t])
        matrix = np.diag(diagonal) - square - products - products.T
        given = np.zeros((n + m, n + m))
        given[n:] = t[:, None] * self.row_error
        sizes = np.abs(self.output)
        error = np.outer(sizes, self.output_error) + np.outer(self.output_error, sizes)
        error = error + np.outer(self.output_error, self.output_error) + given + given.T
        rounding = gamma(8) * (np.diag(diagonal) + np.abs(square) + np.abs(products) + np.abs(products.T))
        return matrix, (error + rounding) * INFLATION + TINY

    def value(self, mu: Vector) -> float:
        """The bound that proved mu give, rounded up."""
        exact = [Fraction(v) for v in mu.tolist()]
        square = sum(exact, Fraction(0)) if self.norm is Norm.LINF else max(exact, default=Fraction(0))
        return sqrt_up(square * Fraction(self.size) ** 2)


def _bound(task: _Task, deadline: Deadline) -> float:
    """The bound of one program; ``inf`` without a proof."""
    numbers = (task.rows, task.row_error, task.output, task.output_error)
    if deadline.passed or not all(np.isfinite(part).all() for part in numbers):
        return np.inf
    proposal = _proposal(task, deadline)
    if proposal is None:
        return np.inf
    mu, t = proposal
    for part in _RAISES:
        raised = mu * (1.0 + part) + part * UNIT_ROUNDOFF
        if is_positive_semidefinite(*task.matrix(raised, t)):
            return task.value(raised)
    return np.inf


def _proposal(task: _Task, deadline: Deadline) -> tuple[Vector, Vector] | None:
    """Multipliers (mu, t) from Clarabel, made nonnegative; ``None`` if it gives none."""
    cvxpy: Any = importlib.import_module("cvxpy")  # takes a second to load
    n, m = task.inputs, len(task.rows)
    mu: Any = cvxpy.Variable(n, nonneg=True)
    t: Any = cvxpy.Variable(m, nonneg=True)
    place = np.eye(n + m)[:, n:]
    matrix = cvxpy.diag(cvxpy.hstack([mu, 2.0 * t])) - np.outer(task.output, task.output)
    if m:
        products = place @ cvxpy.diag(t) @ task.rows
        matrix = matrix - products - products.T
    objective = cvxpy.sum(mu) if task.norm is Norm.LINF else cvxpy.max(mu)
    problem: Any = cvxpy.Problem(cvxpy.Minimize(objective), [matrix - _MARGIN * np.eye(n + m) >> 0])
    with warnings.catch_warnings():  # they repeat what the status says
        warnings.simplefilter("ignore")
        try:
            problem.solve(solver=cvxpy.CLARABEL, time_limit=deadline.remaining, max_threads=1)
        except (cvxpy.SolverError, ValueError):
            return None
    if mu.value is None or (m and t.value is None):
        return None
    values = [np.maximum(np.asarray(v, dtype=np.float64), 0.0) for v in (mu.value, t.value if m else np.zeros(0))]
    if not all(np.isfinite(v).all() for v in values):
        return None
    return values[0], values[1]


def _power_of_two(value: float) -> float:
    """A power of two near a positive number; 1 for what is no such number."""
    return float(np.ldexp(1.0, np.frexp(value)[1])) if np.isfinite(value) and value > 0.0 else 1.0
