"""A network as a torch module: batched, differentiable, on any device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from wdaverify._types import SparseMatrix
    from wdaverify.ir.network import Network

_DENSE_ABOVE = 0.25
"""Density above which a dense product is faster than a sparse one."""


def to_torch(network: Network, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float64) -> torch.nn.Module:
    """A module that maps inputs (N, n) to outputs (N, K), differentiable in its input.

    Weights are buffers, not parameters: they are never trained. The arithmetic is that of `dtype`; nothing is proved
    about its rounding.

    Examples
    --------
    >>> from wdaverify.ir.builder import GraphBuilder
    >>> builder = GraphBuilder(2)
    >>> module = to_torch(builder.finish(builder.relu(builder.input)))
    >>> module(torch.tensor([[1.0, -2.0]], dtype=torch.float64)).tolist()
    [[1.0, 0.0]]
    """
    return _NetworkModule(network, dtype).to(device)


class _NetworkModule(torch.nn.Module):
    """Evaluates the nodes in topological order on transposed values (size, N)."""

    def __init__(self, network: Network, dtype: torch.dtype) -> None:
        super().__init__()
        self._network = network
        self._dtype = dtype
        for k, name in enumerate(network.order):
            op = network.op(name)
            if isinstance(op, Affine):
                self.register_buffer(f"bias_{k}", torch.as_tensor(op.bias.copy(), dtype=dtype)[:, None])
                for j, matrix in enumerate(op.matrices):
                    self.register_buffer(f"matrix_{k}_{j}", _tensor(matrix, dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs (N, K) at the rows of `x` (N, n)."""
        values: dict[str, torch.Tensor] = {}
        for k, name in enumerate(self._network.order):
            op, sources = self._network.op(name), self._network.sources(name)
            if isinstance(op, Input):
                values[name] = x.to(self._dtype).T
            elif isinstance(op, Affine):
                total = self.get_buffer(f"bias_{k}").expand(op.size, x.shape[0])
                for j, source in enumerate(sources):
                    matrix = self.get_buffer(f"matrix_{k}_{j}")
                    total = total + (torch.sparse.mm(matrix, values[source]) if matrix.is_sparse else matrix @ values[source])
                values[name] = total
            else:
                values[name] = torch.relu(values[sources[0]])
        return values[self._network.output].T


def _tensor(matrix: SparseMatrix, dtype: torch.dtype) -> torch.Tensor:
    """A dense tensor, or a coalesced sparse one where most entries are zero."""
    rows, columns = matrix.shape
    if matrix.nnz > _DENSE_ABOVE * rows * columns:
        return torch.as_tensor(matrix.toarray(), dtype=dtype)
    coo = matrix.tocoo()
    index = torch.stack([torch.as_tensor(coo.row.astype("int64")), torch.as_tensor(coo.col.astype("int64"))])
    values = torch.as_tensor(coo.data.copy(), dtype=dtype)
    return torch.sparse_coo_tensor(index, values, (rows, columns), check_invariants=True).coalesce()
