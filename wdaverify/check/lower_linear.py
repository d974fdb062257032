"""Operators that are linear in their variables: one A stage each, one row per output element in C order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from .lower import ONE, Call, Tensor, broadcast
from .onnxwire import FLOAT, FLOATS, size_of
from .program import Element, Form


def _sum(signs: Callable[[int], list[Fraction]]) -> Callable[[Call], Tensor]:
    def lowering(call: Call) -> Tensor:
        tensors = [call.tensor(k) for k in range(len(call.inputs))]
        if len(tensors) < 1 or (call.node.op in ("Add", "Sub") and len(tensors) != 2):
            raise call.error(f"has {len(tensors)} inputs")
        shape, columns = broadcast(call, tensors)
        weights = signs(len(tensors))
        result = call.affine(shape, [Form.of(row, weights) for row in zip(*columns, strict=True)])
        return Tensor(tensors[0].kind, shape, result.elements)

    return lowering


def _product(call: Call) -> Tensor:
    a, b = call.tensor(0), call.tensor(1)
    shape, (left, right) = broadcast(call, [a, b])
    if call.node.op == "Div":
        right = [*Tensor(b.kind, b.shape, right).constants(f"{call.node}: the divisor")]
        if any(v == 0 for v in right):
            raise call.error("divides by zero")
        if a.kind not in FLOATS:
            raise call.error("division of integers is not supported")
        right = [1 / v for v in right if isinstance(v, Fraction)]
    forms = []
    for u, v in zip(left, right, strict=True):
        if isinstance(v, Fraction):
            forms.append(Form.of((u,), (v,)))
        elif isinstance(u, Fraction):
            forms.append(Form.of((v,), (u,)))
        else:
            raise call.error("multiplies two variables, which is not piecewise linear")
    return Tensor(a.kind, shape, call.affine(shape, forms).elements)


def _negation(call: Call) -> Tensor:
    x = call.tensor(0)
    return Tensor(x.kind, x.shape, call.affine(x.shape, [Form.of((e,), (-ONE,)) for e in x.elements]).elements)


def inner(call: Call, xs: Sequence[Element], ws: Sequence[Element], bias: Fraction = Fraction(0)) -> Form:
    """``sum xs ws + bias`` where of each pair one is constant: the second one, or all of the first."""
    if set(map(type, ws)) <= {Fraction}:
        return Form.of(xs, ws, bias)  # type: ignore[arg-type]
    if set(map(type, xs)) <= {Fraction}:
        return Form.of(ws, xs, bias)  # type: ignore[arg-type]
    raise call.error("multiplies two variable matrices, which is not piecewise linear")


def _gemm(call: Call) -> Tensor:
    a, b, c = call.tensor(0), call.tensor(1), call.optional(2)
    alpha, beta = call.exact(call.attribute("alpha", 1.0)), call.exact(call.attribute("beta", 1.0))
    turned_a, turned_b = call.flag("transA"), call.flag("transB")
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise call.error("needs two matrices")
    left = columns_of(a) if turned_a else rows_of(a)
    right = rows_of(b) if turned_b else columns_of(b)
    if a.shape[0 if turned_a else 1] != b.shape[1 if turned_b else 0]:
        raise call.error(f"mismatched shapes {a.shape} and {b.shape}")
    shape = (len(left), len(right))
    added: list[Element] = []
    if c is not None:
        filled = Tensor(FLOAT, shape, [Fraction(0)] * size_of(shape, str(call.node)))
        full, (_, added) = broadcast(call, [filled, c])
        if full != shape:
            raise call.error(f"mismatched shape {c.shape}")
    forms = []
    for i, row in enumerate(left):
        for j, column in enumerate(right):
            form = inner(call, row, column)
            if alpha != 1:
                form = Form({v: alpha * w for v, w in form.terms.items()}, alpha * form.constant)
            if added:
                more = added[i * shape[1] + j]
                if isinstance(more, Fraction):
                    form = Form(form.terms, form.constant + beta * more)
                else:
                    form = Form.of([*form.terms, more], [*form.terms.values(), beta], form.constant)
            forms.append(form)
    return call.affine(shape, forms)


def rows_of(t: Tensor) -> list[list[Element]]:
    """The rows of a matrix."""
    n = t.shape[1]
    return [t.elements[k * n : (k + 1) * n] for k in range(t.shape[0])]


def columns_of(t: Tensor) -> list[list[Element]]:
    """The columns of a matrix."""
    return [t.elements[k :: t.shape[1]] for k in range(t.shape[1])]


def _matmul(call: Call) -> Tensor:
    """Products over the last two axes; leading axes broadcast; a vector is a row on the left, a column on the right."""
    a, b = call.tensor(0), call.tensor(1)
    if not a.shape or not b.shape:
        raise call.error("multiplies a scalar")
    left = a if len(a.shape) > 1 else Tensor(a.kind, (1, *a.shape), a.elements)
    right = b if len(b.shape) > 1 else Tensor(b.kind, (*b.shape, 1), b.elements)
    (m, inner_a), (inner_b, n) = left.shape[-2:], right.shape[-2:]
    if inner_a != inner_b:
        raise call.error(f"mismatched shapes {a.shape} and {b.shape}")
    numbers = [Tensor(0, t.shape[:-2], [Fraction(k) for k in range(math.prod(t.shape[:-2]))]) for t in (left, right)]
    lead, pairs = broadcast(call, numbers)
    forms = []
    for p, q in zip(*pairs, strict=True):
        rows = rows_of(Tensor(0, (m, inner_a), left.elements[int(p) * m * inner_a : (int(p) + 1) * m * inner_a]))
        columns = columns_of(Tensor(0, (inner_b, n), right.elements[int(q) * inner_b * n : (int(q) + 1) * inner_b * n]))
        forms += [inner(call, row, column) for row in rows for column in columns]
    shape = (*lead, *((m,) if len(a.shape) > 1 else ()), *((n,) if len(b.shape) > 1 else ()))
    return call.affine(shape, forms)


def _batch_normalization(call: Call) -> Tensor:
    """``(x - mean) factor + bias``, factor = ``scale * isqrt(2^192 / (var + eps)) / 2^96`` by definition."""
    x = call.tensor(0)
    if call.flag("training_mode") or not call.flag("spatial", 1) or len(call.node.outputs) > 1:
        raise call.error("only inference with statistics per channel is supported")
    call.attribute("momentum", 0.0)
    eps = call.exact(call.attribute("epsilon", float.fromhex("0x1.4f8b58p-17")))  # float32(1e-5)
    scale, bias, mean, variance = (call.tensor(k).constants(f"{call.node}: input {k}") for k in range(1, 5))
    if len(x.shape) < 2 or any(len(p) != x.shape[1] for p in (scale, bias, mean, variance)):
        raise call.error(f"mismatched shapes for {x.shape}")
    if any(v + eps <= 0 for v in variance):
        raise call.error("a variance plus epsilon is not positive")
    roots = [math.isqrt((1 << 192) * (v + eps).denominator // (v + eps).numerator) for v in variance]
    factors = [s * Fraction(r, 1 << 96) for s, r in zip(scale, roots, strict=True)]
    per, forms = math.prod(x.shape[2:]), []
    for k, e in enumerate(x.elements):
        c = k // per % x.shape[1]
        forms.append(Form.of((e,), (factors[c],), bias[c] - mean[c] * factors[c]))
    return call.affine(x.shape, forms)


LINEAR: dict[str, Callable[[Call], Tensor]] = {
    "Add": _sum(lambda n: [ONE] * n),
    "BatchNormalization": _batch_normalization,
    "Div": _product,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Mul": _product,
    "Neg": _negation,
    "Sub": _sum(lambda n: [ONE, -ONE][:n]),
    "Sum": _sum(lambda n: [ONE] * n),
}
"""The linear operators."""
