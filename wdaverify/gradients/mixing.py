"""The mixing bound: the largest norm of a point of a zonotope, for any positive multipliers.

Let B be the matrix whose columns are the centre and the generators of a zonotope, so that its points are ``B e`` with
``e`` in [-1, 1]^S (the centre may count as one more symbol because norms are even). For **any** positive weights lam of the
coordinates and mu of the symbols, with L and M their diagonal matrices,

    ||B e||_1    =  max_s s^T B e  <=  sigma(L^-1/2 B M^-1/2) sqrt(sum lam  sum mu),      s in {-1, 1}^n,
    ||B e||_2^2  =  e^T B^T B e    <=  sigma(B M^-1/2)^2 sum mu,                          sigma the largest singular value,

because ``s^T L s = sum lam`` and ``e^T M e <= sum mu``: the semidefinite relaxation of the infinity-to-one norm (Nesterov,
*Semidefinite relaxation and nonconvex quadratic optimization*, 1998), evaluated at a dual point. The multipliers come from a
few rounds of block ascent on a low-rank factor of the primal (Burer and Monteiro 2003) and need not have converged. The largest
coordinate of a zonotope, for ``||B e||_inf``, is the largest absolute row sum, exactly.

Rigour: every zonotope is scaled by a power of two to a size of about 1, so that neither squares nor products of multipliers
leave the range of floats. A float Cholesky factorisation of ``tau I - A`` that runs to its end proves
``A <= (tau + d gamma_(d+2) tau) I`` (Rump, *Verification of positive definiteness*, BIT 46, 2006), and the rounding of the Gram
matrix A is charged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.bounds.rounding import INFLATION, gamma

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix, Vector

_RANK = 6
"""Columns of the factor in the block ascent."""

_ROUNDS = 10
"""Rounds of the block ascent."""

_FLOOR = 1e-12
"""Multipliers are at least this part of their mean, so that no division is by 0."""

_HEADROOM = 1e-12
"""The factorisation is tried so far, relatively, above the computed eigenvalue; then with ever more room."""


class MixingBound(NamedTuple):
    """What a batch of zonotopes cannot exceed.

    Attributes
    ----------
    ceilings
        Proved upper bounds (R,) of the dual norm over the zonotopes as given, in real arithmetic.
    shares
        How much each symbol contributes, shape (R, S); it guides branching only.
    lean
        The correlation (R, S) of each symbol with the centre at the relaxation's optimum, ``None`` where none was solved.
    """

    ceilings: Vector
    shares: Matrix
    lean: Matrix | None = None


def largest_norms(generators: Matrix, norm: Norm) -> MixingBound:
    """Bound ``||g||`` over zonotopes, in the dual of a norm of inputs.

    Parameters
    ----------
    generators
        Shape (R, S, n): centre and generators (`gradients.zonotope`).
    norm
        Of the inputs: linf bounds l1 norms of gradients, l1 bounds linf norms.

    Examples
    --------
    Mixtures of (1, 1) and (1, -1): the largest l1 norm is 2, at (2, 0), while the sizes of the coordinates add up to 4.

    >>> crossed = np.array([[[1.0, 1.0], [1.0, -1.0]]])
    >>> largest_norms(crossed, Norm.LINF).ceilings.round(6).tolist(), largest_norms(crossed, Norm.L1).ceilings.round(6).tolist()
    ([2.828427], [2.0])
    """
    largest = np.abs(generators).max(axis=(1, 2), initial=0.0)
    exponents = np.frexp(largest)[1]
    bound = _bound_of_size_one(np.ldexp(generators, -exponents[:, None, None]), norm)
    with np.errstate(over="ignore"):
        ceilings = np.nextafter(np.ldexp(bound.ceilings, exponents), np.inf)  # it may round where it becomes subnormal
    return bound._replace(ceilings=np.where(largest == 0.0, 0.0, ceilings))


def _bound_of_size_one(generators: Matrix, norm: Norm) -> MixingBound:
    """`largest_norms` where the largest entry is about 1: what underflow takes of the others is far below `TINY`."""
    sizes = np.abs(generators)
    reach = sizes.sum(axis=1)  # (R, n): the largest absolute value of each coordinate
    up = 1.0 + gamma(generators.shape[1] + generators.shape[2] + 8)
    if norm is Norm.L1:
        if not generators.shape[2]:
            return MixingBound(np.zeros(len(sizes)), np.zeros(sizes.shape[:2]))
        widest = reach.argmax(axis=1)
        shares = sizes[np.arange(len(sizes)), :, widest]
        return MixingBound(reach.max(axis=1, initial=0.0) * up + TINY, shares)
    plain = (reach.sum(axis=1) if norm is Norm.LINF else np.sqrt((reach**2).sum(axis=1))) * up + TINY
    if generators.shape[1] == 1:
        return MixingBound(plain, sizes.sum(axis=2))
    with np.errstate(all="ignore"):
        lam, mu, lean = _multipliers(generators, norm)
        mixed = _spectral_bound(generators, lam, mu)
    mixed = np.where(np.isfinite(mixed), mixed, np.inf)
    return MixingBound(np.minimum(plain, mixed), mu, lean)


def _multipliers(generators: Matrix, norm: Norm) -> tuple[Matrix | None, Matrix, Matrix]:
    """Weights of the coordinates (``None``: all 1, for l2) and of the symbols, and leanings: block ascent from a fixed start."""
    rows, symbols, _ = generators.shape
    start = np.random.default_rng(0).standard_normal((symbols, _RANK))
    v: Matrix = np.broadcast_to(start / np.linalg.norm(start, axis=1, keepdims=True), (rows, symbols, _RANK))
    flipped = generators.transpose(0, 2, 1)
    u_norms = np.zeros((rows, flipped.shape[1], 1))
    for _ in range(_ROUNDS):
        u = flipped @ v
        if norm is Norm.LINF:
            u_norms = np.linalg.norm(u, axis=2, keepdims=True)
            u = u / np.maximum(u_norms, TINY)
        v = generators @ u
        v_norms = np.linalg.norm(v, axis=2, keepdims=True)
        v = v / np.maximum(v_norms, TINY)
    mu = _floored(v_norms[:, :, 0])
    return (_floored(u_norms[:, :, 0]) if norm is Norm.LINF else None), mu, (v * v[:, :1]).sum(axis=2)


def _floored(weights: Matrix) -> Matrix:
    return np.asarray(np.maximum(weights, _FLOOR * weights.mean(axis=1, keepdims=True) + TINY))


def _spectral_bound(generators: Matrix, lam: Matrix | None, mu: Matrix) -> Vector:
    """The right-hand side of the mixing bound (R,), rounded up."""
    symbols, n = generators.shape[1:]
    scaled = generators / np.sqrt(mu)[:, :, None]
    if lam is not None:
        scaled = scaled / np.sqrt(lam)[:, None, :]
    gram = scaled @ scaled.transpose(0, 2, 1) if symbols <= n else scaled.transpose(0, 2, 1) @ scaled
    frobenius = (scaled**2).sum(axis=(1, 2)) * INFLATION
    top = _proved_top(gram) + gamma(max(symbols, n) + 24) * frobenius + symbols * n * TINY
    total = mu.sum(axis=1) if lam is None else mu.sum(axis=1) * lam.sum(axis=1)
    result: Vector = np.sqrt(top * total) * (1.0 + gamma(2 * (symbols + n) + 16)) + TINY
    return result


def _proved_top(gram: Matrix) -> Vector:
    """Upper bounds of the largest eigenvalues of symmetric float matrices (R, d, d), each proved by a factorisation."""
    finite = np.isfinite(gram).all(axis=(1, 2))
    guess = np.full(len(gram), np.inf)
    if finite.any():
        guess[finite] = np.linalg.eigvalsh(gram[finite])[:, -1]
    d = gram.shape[1]
    diagonal = np.trace(gram, axis1=1, axis2=2)  # an upper bound of the largest eigenvalue of any positive matrix
    tops = np.where(finite, diagonal * (1.0 + gamma(d + 4)), np.inf)
    open_ = np.flatnonzero(finite & (guess > 0))
    room = _HEADROOM
    while len(open_) and room < 1.0:
        tau = guess[open_] * (1.0 + room)
        shifted = tau[:, None, None] * np.eye(d) - gram[open_]
        good = _factorised(shifted)
        proved = tau * (1.0 + d * gamma(d + 2) * 2.0 + 4.0 * UNIT_ROUNDOFF)
        tops[open_[good]] = np.minimum(tops[open_[good]], proved[good])
        open_, room = open_[~good], 100.0 * room
    return tops


def _factorised(matrices: Matrix) -> BoolArray:
    """Which of the symmetric matrices (R, d, d) have a Cholesky factor that is found to the end."""
    try:
        factors = np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.zeros(1, dtype=bool)
        half = len(matrices) // 2
        return np.concatenate([_factorised(matrices[:half]), _factorised(matrices[half:])])
    return np.asarray(np.isfinite(factors).all(axis=(1, 2)))
