r"""Products of operator norms: a bound of the Lipschitz constant that needs no search.

For norms ``r -> r`` on every layer, ReLU is 1-Lipschitz, and

.. math:: \Lambda(\text{input}) = 1, \qquad \Lambda(\textstyle\sum_k M_k x_k + b) \le \sum_k \|M_k\|_{r \to r} \Lambda(x_k).

For a functional ``c^T f`` the output layer enters through ``\|M_k^T c\|_s`` with the dual exponent s. Everything is
rounded up, and half an ulp of every coefficient is covered where float64 does not hold the stored weight.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.functionals import parse_functional
from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from wdaverify._types import Matrix, SparseMatrix, Vector
    from wdaverify.functionals import Functional
    from wdaverify.ir.network import Network

DENSE_LIMIT = 1024
"""Matrices whose smaller side is longer than this get the bound ``sqrt(norm_1 * norm_inf)`` for l2, without squaring."""

GRAM_STEPS = 14
"""Squarings of the Gram matrix: the Frobenius norm of ``G^(2^14)`` overshoots by at most ``n^(2^-16)``."""


def lipschitz_bound(network: Network, functional: str, *, norm: Norm) -> float:
    """Bound the Lipschitz constant of a functional on all of R^n from above.

    Parameters
    ----------
    network
        Any network.
    functional
        A name as `functionals.parse_functional` reads it; losses have the bound of their label.
    norm
        The norm of the inputs.

    Returns
    -------
    float
        Proved upper bound: the product of operator norms, rounded up.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.ir.network import Network, Node
    >>> affine = Affine((csr_array(np.array([[1.0, -2.0]])),), np.zeros(1))
    >>> network = Network.from_nodes({"x": Node(Input(2)), "y": Node(affine, ("x",))}, "y")
    >>> round(lipschitz_bound(network, "logit:0", norm=Norm.LINF), 9)
    3.0
    """
    chosen = parse_functional(functional, network.outputs)
    return functional_bound(network, chosen, node_bounds(network, norm), norm)


def label_bounds(network: Network, labels: set[int], *, norm: Norm) -> dict[int, float]:
    """The bound of ``label:Y`` for each of the labels, sharing the hidden layers."""
    nodes = node_bounds(network, norm)
    return {y: functional_bound(network, parse_functional(f"label:{y}", network.outputs), nodes, norm) for y in sorted(labels)}


def node_bounds(network: Network, norm: Norm) -> dict[str, float]:
    """An upper bound of the Lipschitz constant of every hidden node (the output node is left out)."""
    bounds: dict[str, float] = {}
    for name in network.order:
        op, sources = network.op(name), network.sources(name)
        if isinstance(op, Input):
            bounds[name] = 1.0
        elif isinstance(op, Affine):
            if name != network.output:
                bounds[name] = _sum_up(
                    [_times_up(operator_norm(m, norm), bounds[s]) for m, s in zip(op.matrices, sources, strict=True)]
                )
        else:
            bounds[name] = bounds[sources[0]]
    return bounds


def functional_bound(network: Network, functional: Functional, nodes: dict[str, float], norm: Norm) -> float:
    """Combine the rows of the output layer with the bounds of the hidden nodes."""
    op = network.op(network.output)
    assert isinstance(op, Affine)
    totals = np.zeros(len(functional.plus))
    for matrix, source in zip(op.matrices, network.sources(network.output), strict=True):
        rows = matrix[list(functional.plus)].toarray()
        spread = np.abs(rows)
        if functional.minus is not None:
            base = matrix[[functional.minus]].toarray()
            # The subtraction rounds once, and each coefficient may stand for a rational half an ulp away.
            spread, rows = spread + np.abs(base), rows - base
        slack = 3 * UNIT_ROUNDOFF * spread
        norms = _row_norms(np.abs(rows) + slack, norm.dual)
        totals = _inflate(totals + np.array([_times_up(float(row), nodes[source]) for row in norms]), 2)
    return float(totals.max())


def operator_norm(matrix: SparseMatrix, norm: Norm) -> float:
    """An upper bound of ``||M||`` from `norm` to itself, rounded up.

    Parameters
    ----------
    matrix
        Shape (n_out, n_in), sparse; each entry may be half an ulp from the coefficient that it stands for.

    Returns
    -------
    float
        l1: largest absolute column sum; linf: largest absolute row sum; l2: the smaller of the square root of their
        product and, for small matrices, the Gram iteration ``sigma(A)^2 = sigma(A^T A)`` (Delattre, Barthélemy,
        Araujo and Allauzen, 2023) with its rounding errors added. All proved.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> round(operator_norm(csr_array(np.diag([3.0, -4.0])), Norm.L2), 3)
    4.0
    """
    magnitude = abs(matrix)
    columns, rows = (np.asarray(magnitude.sum(axis=axis)).ravel() for axis in (0, 1))
    column_norm = float(_inflate(columns.max(initial=0.0), matrix.shape[0] + 2))
    row_norm = float(_inflate(rows.max(initial=0.0), matrix.shape[1] + 2))
    if norm is Norm.L1:
        return column_norm
    if norm is Norm.LINF:
        return row_norm
    mean = float(_inflate(math.sqrt(column_norm) * math.sqrt(row_norm), 4))
    # Outside this range the scaling by powers of two would leave float64.
    if min(matrix.shape) > DENSE_LIMIT or not 1e-290 < mean < 1e290:
        return mean
    dense = matrix.toarray()
    # ||M|| <= ||fl(M)|| + ||half ulps||_F
    half_ulps = UNIT_ROUNDOFF * _frobenius_up(dense)
    return min(mean, _sum_up([_spectral_up(dense if dense.shape[0] >= dense.shape[1] else dense.T), half_ulps]))


def _spectral_up(matrix: Matrix, steps: int = GRAM_STEPS) -> float:
    """Upper bound of the largest singular value of a float64 matrix by the Gram iteration.

    Each step scales by a power of two (exact) and uses ``sigma(A)^2 <= sigma(fl(A^T A)) + gamma_m ||A||_F^2``.
    """
    scale = 2.0 ** math.frexp(_frobenius_up(matrix))[1]
    scaled = matrix / scale
    if steps == 0:
        return _times_up(_frobenius_up(scaled), scale)
    gram = scaled.T @ scaled
    # gamma_m with m the number of rows, doubled for safety, and the underflow of every product.
    rounding = 2 * (len(scaled) + 2) * UNIT_ROUNDOFF * _frobenius_up(scaled) ** 2 + gram.size * len(scaled) * TINY
    inner = _sum_up([_spectral_up(gram, steps - 1), rounding])
    return _times_up(float(_inflate(math.sqrt(inner), 4)), scale)


def _frobenius_up(matrix: Matrix) -> float:
    """Upper bound of the Frobenius norm, safe against overflow and underflow of the squares."""
    largest = float(np.abs(matrix).max(initial=0.0))
    if largest == 0.0:
        return 0.0
    scale = 2.0 ** math.frexp(largest)[1]
    total = float(((matrix / scale) ** 2).sum())
    return float(_inflate(math.sqrt(float(_inflate(total, matrix.size + 4))) * scale, 4))


def _row_norms(magnitudes: Matrix, norm: Norm) -> Vector:
    """Upper bound of the norm of each row of a nonnegative matrix."""
    if norm is Norm.LINF:
        return _inflate(magnitudes.max(axis=1, initial=0.0), 2)
    if norm is Norm.L1:
        return _inflate(magnitudes.sum(axis=1), magnitudes.shape[1] + 2)
    return np.array([_frobenius_up(row) for row in magnitudes])


def _inflate(value: Vector | float, operations: int) -> Vector:
    """A nonnegative result of that many roundings, enlarged beyond its error."""
    return np.asarray(value, dtype=np.float64) * (1 + 2 * (operations + 2) * UNIT_ROUNDOFF) + TINY * (np.asarray(value) > 0)


def _times_up(a: float, b: float) -> float:
    """``a * b`` rounded up, for nonnegative factors; 0 times infinity is 0."""
    return 0.0 if a == 0.0 or b == 0.0 else max(TINY, float(_inflate(a * b, 2)))


def _sum_up(terms: list[float]) -> float:
    """The sum rounded up, for nonnegative terms."""
    return float(_inflate(sum(terms), len(terms) + 2))
