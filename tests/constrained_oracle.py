"""Prices on constrained domains by brute force: every integer point, every activation cell, one linear program each.

Shares no code with the package but the graph of the network (`tests.oracles`) and the arrays of the domain.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog

from tests.oracles import enumerate_cells
from wdaverify.domain import Box

if TYPE_CHECKING:
    from wdaverify.feature_domain import Domain
    from wdaverify.ir.network import Network


def brute_price(
    network: Network, label: int, center: np.ndarray, domain: Domain, *, norm: str, multiplier: float, reach: float = np.inf
) -> float:
    """The largest ``f_j - f_label - multiplier ||S (x - center)||`` within reach, for l1 and linf and order 1; -inf if none."""
    frozen, integer = domain.frozen, domain.constraints.integer
    lower, upper = np.where(frozen, center, domain.box.lower), np.where(frozen, center, domain.box.upper)
    whole = [range(int(np.ceil(lower[k])), int(np.floor(upper[k])) + 1) for k in np.flatnonzero(integer)]
    cells = list(enumerate_cells(network, Box(lower - 0.5, upper + 0.5)))
    best = -np.inf
    for values in itertools.product(*whole):
        low, high = lower.copy(), upper.copy()
        low[integer] = high[integer] = values
        if any(sorted(low[list(group)]) != [0.0] * (len(group) - 1) + [1.0] for group in domain.constraints.one_hot):
            continue
        for cell in cells:
            for rival in range(network.outputs):
                if rival != label:
                    best = max(best, _in_cell(cell, rival, label, center, domain, (low, high), norm, multiplier, reach))
    return best


def _in_cell(cell, rival, label, center, domain, ends, norm, multiplier, reach) -> float:
    n = len(center)
    scales = np.ones(n) if domain.weights is None else domain.weights
    parts = np.ones((n, 1)) if norm == "linf" else np.eye(n)
    extra = parts.shape[1]
    gain = cell.slope[rival] - cell.slope[label]
    rows = np.block([[np.diag(scales), -parts], [-np.diag(scales), -parts]])
    sides = np.concatenate([scales * center, -scales * center])
    inside = np.vstack([cell.rows, domain.constraints.rows])
    rows = np.vstack([rows, np.c_[inside, np.zeros((len(inside), extra))]])
    sides = np.concatenate([sides, cell.sides, domain.constraints.limits])
    if np.isfinite(reach):
        rows, sides = np.vstack([rows, np.r_[np.zeros(n), np.ones(extra)]]), np.append(sides, reach)
    result = linprog(
        np.r_[-gain, np.full(extra, multiplier)],
        A_ub=rows,
        b_ub=sides + 1e-11,
        bounds=[*zip(*ends, strict=True), *[(0, None)] * extra],
        method="highs",
    )
    return -result.fun + float(cell.offset[rival] - cell.offset[label]) if result.status == 0 else -np.inf
