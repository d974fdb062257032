r"""Prove that a symmetric matrix known up to small errors is positive semidefinite.

For any computed L, ``A - sigma I = L L^T + D`` gives :math:`\lambda_{\min}(A) \ge \sigma - \|D\|`, because ``L L^T`` is positive
semidefinite and the eigenvalues of a sum move by at most the norm of what is added (Weyl). With :math:`\|D\| \le \max_i \sum_j
|D_{ij}|` bounded entry by entry from the residual, nothing is asked of the factorisation: a bad one proves nothing. This is the
residual form of Rump, *Verification of positive definiteness*, BIT 46 (2006).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.bounds.rounding import INFLATION, gamma, underflow

if TYPE_CHECKING:
    from wdaverify._types import Matrix

_ROOM = 4.0
"""The shift is this many times the error that the factorisation is expected to leave."""


def is_positive_semidefinite(matrix: Matrix, error: Matrix | None = None) -> bool:
    """Whether every symmetric matrix within `error`, entry by entry, of `matrix` is proved positive semidefinite.

    Parameters
    ----------
    matrix
        Shape (n, n); only its lower triangle is read.
    error
        Nonnegative, shape (n, n), symmetric; none if not given.

    Returns
    -------
    bool
        False proves nothing. True needs a smallest eigenvalue clearly above the rounding errors of a factorisation.

    Examples
    --------
    >>> is_positive_semidefinite(np.array([[2.0, 1.0], [1.0, 2.0]])), is_positive_semidefinite(np.array([[1.0, 2.0], [2.0, 1.0]]))
    (True, False)
    >>> is_positive_semidefinite(np.eye(2), 0.6 * np.ones((2, 2)))
    False
    """
    n = len(matrix)
    if n == 0:
        return True
    whole = np.tril(matrix) + np.tril(matrix, -1).T
    if not np.isfinite(whole).all() or not (error is None or np.isfinite(error).all()):
        return False
    given = 0.0 if error is None else _row_sums(error)
    expected = gamma(n + 4) * float(np.abs(np.diag(whole)).sum())
    shift = _ROOM * (given + expected)
    shifted = whole - shift * np.eye(n)
    try:
        factor = np.linalg.cholesky(shifted)
    except np.linalg.LinAlgError:
        return False
    sizes = np.abs(factor) @ np.abs(factor).T
    # the shift rounds once, the product of the factors n times, the difference once
    rounding = gamma(n + 4) * sizes + 2.0 * UNIT_ROUNDOFF * (np.abs(shifted) + np.abs(whole))
    residual = np.abs(shifted - factor @ factor.T) + INFLATION * rounding + underflow(n, np.zeros(1))
    return bool(given + _row_sums(residual) <= shift)


def _row_sums(matrix: Matrix) -> float:
    """The largest row sum of a nonnegative matrix, rounded up."""
    return float(matrix.sum(axis=1).max()) * (1.0 + 2.0 * (len(matrix) + 2) * UNIT_ROUNDOFF)
