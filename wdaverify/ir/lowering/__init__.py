"""Exact lowering of ONNX operators to affine maps and ReLU.

Adding an operator is one function and one line in the table. A lowering takes the builder, a view of the node and its
inputs, and returns the outputs; it may assume nothing about shapes that it has not checked.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from wdaverify.ir.lowering import constants, conv, elementwise, linear, normalization, piecewise, pool, shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wdaverify.ir.lowering.common import Lowering

LOWERINGS: Final[Mapping[str, Lowering]] = MappingProxyType(
    {
        "Abs": piecewise.lower_abs,
        "Add": elementwise.lower_sum,
        "AveragePool": pool.lower_average_pool,
        "BatchNormalization": normalization.lower_batch_normalization,
        "Cast": elementwise.lower_cast,
        "CastLike": elementwise.lower_cast,
        "Clip": piecewise.lower_clip,
        "Concat": shape.lower_concat,
        "Constant": constants.lower_constant,
        "ConstantOfShape": constants.lower_constant_of_shape,
        "Conv": conv.lower_conv,
        "ConvTranspose": conv.lower_conv_transpose,
        "Div": elementwise.lower_div,
        "Dropout": elementwise.lower_dropout,
        "Expand": shape.lower_expand,
        "Flatten": shape.lower_flatten,
        "Gather": shape.lower_gather,
        "Gemm": linear.lower_gemm,
        "GlobalAveragePool": pool.lower_global_pool,
        "GlobalMaxPool": pool.lower_global_pool,
        "Identity": elementwise.lower_identity,
        "LeakyRelu": piecewise.lower_leaky_relu,
        "LogSoftmax": normalization.lower_softmax,
        "MatMul": linear.lower_matmul,
        "Max": piecewise.lower_max,
        "MaxPool": pool.lower_max_pool,
        "Mean": elementwise.lower_mean,
        "Min": piecewise.lower_max,
        "Mul": elementwise.lower_mul,
        "Neg": elementwise.lower_neg,
        "PRelu": piecewise.lower_prelu,
        "Pad": shape.lower_pad,
        "ReduceMax": pool.lower_reduce,
        "ReduceMean": pool.lower_reduce,
        "ReduceMin": pool.lower_reduce,
        "ReduceSum": pool.lower_reduce,
        "Relu": piecewise.lower_relu,
        "Reshape": shape.lower_reshape,
        "Shape": constants.lower_shape,
        "Size": constants.lower_size,
        "Slice": shape.lower_slice,
        "Softmax": normalization.lower_softmax,
        "Split": shape.lower_split,
        "Squeeze": shape.lower_squeeze,
        "Sub": elementwise.lower_sub,
        "Sum": elementwise.lower_sum,
        "Transpose": shape.lower_transpose,
        "Unsqueeze": shape.lower_unsqueeze,
    }
)
"""Operator name (standard domain) to the function that lowers it."""
