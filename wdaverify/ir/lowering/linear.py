"""Matrix products with one constant side: Gemm, MatMul."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir.lowering.common import Tensor, optional_tensor, tensor_of
from wdaverify.ir.values import Values, product, simplify, to_fractions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from wdaverify._types import IntArray
    from wdaverify.ir.builder import GraphBuilder
    from wdaverify.ir.lowering.common import Inputs, OnnxNode, Value


def lower_gemm(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``Y = alpha A' B' + beta C``; A' and B' are transposed where transA and transB say so."""
    a, b = tensor_of(node, inputs, 0), tensor_of(node, inputs, 1)
    if a.rank != 2 or b.rank != 2:
        raise node.error(f"mismatched shapes: needs two matrices, got {a.shape} and {b.shape}")
    if node.attribute("transA", 0):
        a = a.rearranged(a.positions.T)
    if node.attribute("transB", 0):
        b = b.rearranged(b.positions.T)
    alpha, beta = float(node.attribute("alpha", 1.0)), float(node.attribute("beta", 1.0))
    if not (np.isfinite(alpha) and np.isfinite(beta)):
        raise node.error(f"alpha = {alpha} and beta = {beta} must be finite")
    result = matrix_product(builder, node, a, b, factor=alpha)
    c = optional_tensor(node, inputs, 2)
    if c is None:
        return (result,)
    try:
        positions = np.broadcast_to(c.positions, result.shape)
    except ValueError:
        raise node.error(f"mismatched shapes: C of shape {c.shape} does not broadcast to {result.shape}") from None
    offset = builder.scale(c.rearranged(positions).forms, np.full(result.size, beta))
    return (Tensor(result.shape, builder.add(result.forms, offset)),)


def lower_matmul(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``Y = A B`` with NumPy's rules for vectors and stacks of matrices."""
    return (matrix_product(builder, node, tensor_of(node, inputs, 0), tensor_of(node, inputs, 1)),)


def matrix_product(builder: GraphBuilder, node: OnnxNode, a: Tensor, b: Tensor, *, factor: float = 1.0) -> Tensor:
    """``factor * A B`` where one side is constant; every coefficient is an exact product."""
    if a.rank == 0 or b.rank == 0:
        raise node.error("mismatched shapes: a scalar cannot be multiplied as a matrix")
    if not a.is_constant and not b.is_constant:
        raise node.unsupported("both sides depend on the network's input: their product is not piecewise linear")
    left = a.positions[None, :] if a.rank == 1 else a.positions
    right = b.positions[:, None] if b.rank == 1 else b.positions
    if left.shape[-1] != right.shape[-2]:
        raise node.error(f"mismatched shapes {a.shape} and {b.shape}")
    try:
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        raise node.error(f"mismatched shapes {a.shape} and {b.shape}") from None
    m, k, n = left.shape[-2], left.shape[-1], right.shape[-1]
    shape = (*batch, m, n)
    node.check_size(shape)
    node.check_nonzeros(int(np.prod(shape)) * k)
    full = (*batch, m, n, k)
    i = np.broadcast_to(left[..., :, None, :], full).ravel()
    j = np.broadcast_to(np.swapaxes(right, -1, -2)[..., None, :, :], full).ravel()
    rows = np.repeat(np.arange(int(np.prod(shape)), dtype=np.int64), k)
    weights, at, operand, columns = (b, j, a, i) if b.is_constant else (a, i, b, j)
    forms = builder.linear((rows, columns, _scaled(weights, factor)[at]), operand.forms, np.zeros(int(np.prod(shape))))
    if a.rank == 1:
        shape = (*shape[:-2], *shape[-1:])
    if b.rank == 1:
        shape = shape[:-1]
    return Tensor(shape, forms)


def _scaled(weights: Tensor, factor: float) -> Values:
    values = weights.forms.bias
    return values if factor == 1.0 else product(values, np.array(factor))


def weighted_sums(
    builder: GraphBuilder, operand: Tensor, windows: IntArray, *, coefficients: Sequence[Fraction], shape: tuple[int, ...]
) -> Tensor:
    """``y_i = c_i * sum of the elements in window i``; -1 in a window stands for zero.

    Parameters
    ----------
    windows
        Shape (size of the result, window length): element numbers of the operand.
    coefficients
        One per window.
    """
    rows, _ = np.nonzero(windows >= 0)
    values = simplify(to_fractions(np.array(coefficients, dtype=object)))
    forms = builder.linear((rows, windows[windows >= 0], values[rows]), operand.forms, np.zeros(len(windows)))
    return Tensor(shape, forms)
