"""The backward pass: linear forms of one node, rewritten into linear forms of the input, and bounded there.

Invariant, with ``A_v`` the pending coefficients of the nodes not yet passed, for every point of the region:

    form(x) >= sum_v A_v . x_v + constant - error        (x_v the real values of the nodes, exact weights)

An affine node replaces ``A . x_v`` by ``sum_k (A M_k) . x_k + A . b``; a ReLU node replaces it by its linear lower bound.
What each step loses to rounding is charged to ``error`` through bounds of ``|x_k|`` (see `bounds.rounding`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.bounds.concretise import dots, linear_minimum
from wdaverify.bounds.rounding import INFLATION, underflow
from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from torch import Tensor

    from wdaverify.bounds.relaxation import Relaxation

_MEMORY = 256 * 2**20
"""Bytes that one chunk of rows may occupy."""

_COPIES = 8
"""Arrays of the size of the widest node alive at once in a backward step, roughly."""


def backward_minimum(relaxation: Relaxation, target: str, forms: Tensor) -> Tensor:
    """Lower bounds of linear forms of a node's value over each region, rounded outward.

    Parameters
    ----------
    relaxation
        Holds every node that `target` depends on, and `target` itself.
    forms
        Shape (B, R, size of target), float64: R forms for each region.

    Returns
    -------
    Tensor
        Shape (B, R); ``-inf`` where nothing finite is proved.
    """
    rows = max(1, _MEMORY // (8 * _COPIES * relaxation.widest))
    batch, count = forms.shape[:2]
    per_block = max(1, rows // max(count, 1))
    result = torch.empty((batch, count), dtype=torch.float64)
    for first in range(0, batch, per_block):
        block = slice(first, first + per_block)
        part = relaxation if per_block >= batch else relaxation[block]
        for start in range(0, count, rows):
            result[block, start : start + rows] = _minimum(part, target, forms[block, start : start + rows])
    return result


def _minimum(relaxation: Relaxation, target: str, forms: Tensor) -> Tensor:
    """One chunk of `backward_minimum`."""
    sums = _Sums(relaxation, target, forms)
    order = relaxation.network.order
    for name in reversed(order[: order.index(target) + 1]):
        rows = sums.pending.pop(name, None)
        if rows is None:
            continue
        op, sources = relaxation.network.op(name), relaxation.network.sources(name)
        if isinstance(op, Input):
            sums.add(linear_minimum(rows, relaxation.regions))
        elif isinstance(op, Affine):
            affine, charge = relaxation.affines[name], relaxation.charges[name]
            sums.error += dots(rows.abs(), charge.vector) + charge.floor
            sums.add(rows @ affine.bias)
            for source, pulled in zip(sources, affine.pull_back(rows), strict=True):
                sums.push(source, pulled)
        else:
            pulled, constant = relaxation.relus[name].pull_back(rows)
            sums.add(constant)
            sums.push(sources[0], pulled)
    return sums.lower_end()


class _Sums:
    """The state of one backward pass: pending coefficients (B, R, size), constant and error (B, R)."""

    def __init__(self, relaxation: Relaxation, target: str, forms: Tensor) -> None:
        self.pending = {target: forms}
        self.constant = torch.zeros(forms.shape[:2], dtype=torch.float64)
        self.error = torch.zeros_like(self.constant)
        self._magnitudes = relaxation.magnitudes

    def add(self, term: Tensor) -> None:
        """Add to the constant and charge the rounding of the sum."""
        self.constant = self.constant + term
        self.error += UNIT_ROUNDOFF * self.constant.abs()

    def push(self, name: str, rows: Tensor) -> None:
        """Add to a node's pending coefficients; the second and later readers cost one rounding each."""
        if name not in self.pending:
            self.pending[name] = rows
            return
        total = self.pending[name] + rows
        self.error += UNIT_ROUNDOFF * dots(total.abs(), self._magnitudes[name])
        self.pending[name] = total

    def lower_end(self) -> Tensor:
        """The constant less all errors, rounded down; what is not finite proves nothing."""
        margin = self.error * INFLATION + 4.0 * UNIT_ROUNDOFF * (self.constant.abs() + self.error)
        lower = self.constant - margin - underflow(1, torch.zeros(1, dtype=torch.float64))
        return torch.nan_to_num(lower, nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
