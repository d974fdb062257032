"""Ascend the smallest of several linear functions of the logits over a box: points that may satisfy a property.

Projected sign steps of decaying size from the centre, corners and random points, all in one batch; the best iterate of each
start is kept, not the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from wdaverify.ir.to_torch import to_torch

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network

_STEPS = 60
_STARTS = 64
_DECAY = 0.93


def ascend(network: Network, rows: Matrix, offsets: Vector, box: Box, *, seed: int = 0) -> Matrix:
    """Return candidate points for ``min_r (rows f(x) + offsets)_r >= 0``, the most promising first.

    Parameters
    ----------
    rows, offsets
        Shapes (R, K) and (R,).
    box
        A bounded box of the network's dimension; every candidate lies in it.

    Returns
    -------
    Matrix
        Shape (candidates, n). Nothing is promised about them: check before use.
    """
    rng = np.random.default_rng(seed)
    lower, upper = (torch.tensor(end) for end in (box.lower, box.upper))
    module = to_torch(network)
    weight, constant = torch.tensor(rows), torch.tensor(offsets)
    random = rng.uniform(size=(_STARTS - 1, network.inputs))
    random[: _STARTS // 4] = np.round(random[: _STARTS // 4])
    starts = np.vstack([np.full((1, network.inputs), 0.5), random])
    x = lower + (upper - lower) * torch.tensor(starts)
    best, best_value = x.clone(), torch.full((len(x),), -torch.inf, dtype=x.dtype)
    size = 0.5 * (upper - lower)
    for _ in range(_STEPS):
        x = x.detach().requires_grad_()
        value = (module(x) @ weight.T + constant).min(dim=1).values
        better = value > best_value
        best[better], best_value[better] = x.detach()[better], value.detach()[better]
        if not value.requires_grad:  # a constant network
            break
        gradient = torch.autograd.grad(value.sum(), x)[0]
        x = torch.minimum(torch.maximum(x.detach() + size * gradient.sign(), lower), upper)
        size = size * _DECAY
    order = torch.argsort(best_value, descending=True)
    return np.asarray(best[order].numpy())
