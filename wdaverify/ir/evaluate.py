"""Evaluate a network in float64, batched over samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from wdaverify._types import Matrix
    from wdaverify.ir.network import Network


def trace(network: Network, x: Matrix) -> dict[str, Matrix]:
    """The float64 value of every node at the rows of `x`.

    Parameters
    ----------
    x
        Shape (N, n).

    Returns
    -------
    dict
        Node name to array (N, size of the node). Rounding errors are not bounded here; what must be certain is
        evaluated by `ir.exact`.
    """
    values: dict[str, Matrix] = {}
    for name in network.order:
        op, sources = network.op(name), network.sources(name)
        if isinstance(op, Input):
            values[name] = np.asarray(x, dtype=np.float64)
        elif isinstance(op, Affine):
            total = np.broadcast_to(op.bias, (len(x), op.size)).copy()
            for matrix, source in zip(op.matrices, sources, strict=True):
                total += (matrix @ values[source].T).T
            values[name] = total
        else:
            values[name] = np.maximum(values[sources[0]], 0.0)
    return values


def forward(network: Network, x: Matrix) -> Matrix:
    """The float64 outputs (N, K) at the rows of `x` (N, n)."""
    return trace(network, x)[network.output]
