r"""Interval bounds of the Jacobian over a region: a backward pass through phases that bounds have decided.

On a full-dimensional activation cell the gradient of ``c^T f`` is ``c^T M_L D_{L-1} M_{L-1} ... D_1 M_1`` with D diagonal, 1 for
an active and 0 for an inactive neuron. Bounds ``l <= z <= u`` of the pre-activations on the region (CROWN's, or any) decide the
phase where ``l >= 0`` or ``u <= 0``; an open one may be either. With the adjoint as center and radius, entry by entry,

.. math:: m \leftarrow m M,\quad r \leftarrow r |M| \quad\text{(affine)}, \qquad
          [a, b] \leftarrow [\min(a, 0), \max(b, 0)] \quad\text{(open neuron)},

the adjoint of the input holds every gradient, and its largest dual norm bounds the Lipschitz constant (docs/theory.md,
"Lipschitz constants"). This is the bound of Weng et al., *Towards fast computation of certified robustness for ReLU networks*
(FastLip), ICML 2018, and the first step of Zhang et al., *RecurJac*, AAAI 2019; with CROWN's bounds instead of theirs.
Rounding is charged to the radius.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.bounds.crown import crown_bounds
from wdaverify.bounds.rounding import INFLATION, gamma, underflow
from wdaverify.domain import Regions
from wdaverify.ir.compiled import AffineStep, InputStep

if TYPE_CHECKING:
    from typing import TypeAlias

    from wdaverify._types import BoolArray, Matrix, SparseMatrix, Vector
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network

    Ball: TypeAlias = "tuple[Matrix, Matrix]"
    """Centers and radii (R, size): every entry of an adjoint lies within."""


def gradient_bounds(network: Network, box: Box, rows: Matrix, *, norm: Norm) -> Vector:
    """Bound the Lipschitz constant of linear forms of the outputs on a box from above, by CROWN and interval Jacobians.

    Parameters
    ----------
    box
        Need not be bounded: an unbounded end leaves phases open. Coordinates of width 0 do not count.
    rows
        Linear forms (R, K) of the outputs, exact as given.
    norm
        The norm of the inputs.

    Returns
    -------
    Vector
        Shape (R,), proved in real arithmetic over the exact weights and rounded up.

    Examples
    --------
    ``relu(x) - relu(-x) = x``: both phases are open on [-1, 2], and none is on [1, 2].

    >>> from scipy.sparse import csr_array
    >>> from wdaverify.domain import Box
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, -1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> network = Network.from_nodes(nodes, "y")
    >>> [gradient_bounds(network, Box(low, 2), np.ones((1, 1)), norm=Norm.L2).round(9).tolist() for low in (-1, 1)]
    [[2.0], [1.0]]
    """
    sized = box.sized(network.inputs)
    regions = Regions.of_box(sized, network.inputs)
    center, radius = jacobian_balls(network, crown_bounds(network, regions), rows)
    magnitudes = (np.abs(center) + radius)[:, sized.lower < sized.upper] * (1.0 + 2.0 * UNIT_ROUNDOFF)
    return dual_norms(np.where(np.isnan(magnitudes), np.inf, magnitudes), norm)


def jacobian_balls(network: Network, bounds: LayerBounds, rows: Matrix) -> Ball:
    """Centers and radii (R, n) that hold the gradients of the forms `rows` (R, K) on all full-dimensional cells of a region.

    Parameters
    ----------
    bounds
        Proved on the first region of a batch, as `crown_bounds` gives them.
    """
    compiled = network.compiled
    pending: dict[int, Ball] = {compiled.output: (rows, np.zeros_like(rows))}
    for step in reversed(compiled.steps):
        ball = pending.pop(step.slot, None)
        if ball is None:
            continue
        if isinstance(step, InputStep):
            return ball
        if isinstance(step, AffineStep):
            pulled = _through_affine(step, ball)
        else:
            name = compiled.names[step.source]
            low, high = bounds.lower[name][0], bounds.upper[name][0]
            pulled = [(step.source, _through_relu(ball, active=low >= 0, inactive=high <= 0))]
        for slot, more in pulled:
            pending[slot] = _sum(pending[slot], more) if slot in pending else more
    return np.zeros((len(rows), compiled.inputs)), np.zeros((len(rows), compiled.inputs))


def _through_affine(step: AffineStep, ball: Ball) -> list[tuple[int, Ball]]:
    """``m M +- (r |M| + rounding)`` for every matrix of the step."""
    center, radius = ball
    sizes, pulled = np.abs(center) + radius, []
    for source, factor in zip(step.sources, step.factors, strict=True):
        # gamma covers both products, their sum, and a coefficient that is half an ulp away; the last term what underflows
        rounding = INFLATION * gamma(step.terms + 8) * _times_magnitudes(factor.sizes, sizes)
        tiny = underflow(step.terms, sizes.sum(axis=1))[:, None]
        pulled.append((source, (factor.pull(center), _times_magnitudes(factor.sizes, radius) + (rounding + tiny))))
    return pulled


def _times_magnitudes(sizes: Matrix | SparseMatrix, rows: Matrix) -> Matrix:
    """``rows |M|`` for nonnegative rows (R, size)."""
    product: Matrix = np.asarray((sizes.T @ rows.T).T)
    return product


def _through_relu(ball: Ball, *, active: BoolArray, inactive: BoolArray) -> Ball:
    """The adjoint itself, 0, or the hull of both."""
    center, radius = ball
    low, high = np.minimum(_down(center - radius), 0.0), np.maximum(_up(center + radius), 0.0)
    middle = 0.5 * (low + high)
    hull = _up(np.maximum(_up(high - middle), _up(middle - low)))
    is_open = ~(active | inactive)
    return np.where(is_open, middle, np.where(active, center, 0.0)), np.where(is_open, hull, np.where(active, radius, 0.0))


def _sum(a: Ball, b: Ball) -> Ball:
    center, radius = a[0] + b[0], a[1] + b[1]
    return center, radius + 4.0 * UNIT_ROUNDOFF * (np.abs(center) + radius)


def _up(values: Matrix) -> Matrix:
    return np.nextafter(values, np.inf)


def _down(values: Matrix) -> Matrix:
    return np.nextafter(values, -np.inf)


def dual_norms(magnitudes: Matrix, norm: Norm) -> Vector:
    """The dual of `norm` of nonnegative rows (R, n), rounded up.

    Examples
    --------
    >>> [float(dual_norms(np.array([[3.0, 4.0]]), norm)[0].round(9)) for norm in Norm]
    [4.0, 5.0, 7.0]
    """
    count = magnitudes.shape[1]
    largest = magnitudes.max(axis=1, initial=0.0)
    if norm is Norm.L1:
        return np.asarray(largest)
    if norm is Norm.LINF:
        total = magnitudes.sum(axis=1)
    else:
        scale = np.ldexp(1.0, np.frexp(np.maximum(largest, TINY))[1])  # a power of two: squares neither overflow nor vanish
        total = scale * np.sqrt(np.square(magnitudes / scale[:, None]).sum(axis=1))
    return np.asarray(np.where(largest > 0, total * (1.0 + 2.0 * (count + 8) * UNIT_ROUNDOFF) + TINY, 0.0))
