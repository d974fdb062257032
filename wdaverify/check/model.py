"""The program of a model file."""

from __future__ import annotations

from fractions import Fraction

from .lower import Call, Tensor, wanted
from .lower_linear import LINEAR
from .lower_piecewise import PIECEWISE
from .lower_shapes import REARRANGING, check_known, split
from .lower_windows import WINDOWS
from .num import Unreadable, shown
from .onnxwire import FLOATS, RANGES, Graph, read_model, size_of
from .program import Program
from .signatures import NEWEST, OLDEST, check_signature

OPERATORS = {**LINEAR, **PIECEWISE, **REARRANGING, **WINDOWS}
_INFINITE = ("Clip",)

_EXACT = ("Add", "Sub", "Mul")
"""Arithmetic that integers have as reals do, until they overflow. (The mean of integers is cut to an integer.)"""

_MIXED = ("Gather", "Expand", "Reshape", "Slice", "Split", "Squeeze", "Unsqueeze", "Dropout")
"""Operators with further inputs of another type, and no arithmetic."""


def program_of(content: bytes, name: str) -> Program:
    """The program of a model's bytes; every failure names the file."""
    try:
        return _lowered(read_model(content))
    except Unreadable as error:
        raise Unreadable(f"{name}: {error}") from None
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise Unreadable(f"{name}: malformed: {type(error).__name__}") from None


def _lowered(graph: Graph) -> Program:
    if not OLDEST <= graph.opset <= NEWEST:
        raise Unreadable(f"operator version {graph.opset} is not supported, only those from {OLDEST} to {NEWEST}")
    free = [v for v in graph.inputs if v[0] not in graph.stored]
    if len(free) != 1 or len(graph.outputs) != 1:
        raise Unreadable(f"needs one input and one output, has {len(free)} and {len(graph.outputs)}")
    name, kind, dims = free[0]
    if kind not in FLOATS or dims is None:
        raise Unreadable(f"input {shown(name)} has element type {kind}, or no shape: it must be floating point with a shape")
    dims = [1 if d is None and k == 0 else d for k, d in enumerate(dims)]
    if any(d is None or d < 1 for d in dims):
        raise Unreadable(f"input {shown(name)} has a symbolic or empty dimension beyond the first")
    shape = tuple(d for d in dims if d is not None)
    program = Program(size_of(shape, f"input {shown(name)}"))
    values: dict[str, Tensor] = {k: Tensor(t.kind, t.shape, list(t.values)) for k, t in graph.stored.items()}
    values[name] = Tensor(kind, shape, list(range(program.inputs)))
    for node in wanted(graph):
        if node.domain not in ("", "ai.onnx"):
            raise Unreadable(f"{node}: domain {shown(node.domain)} is not supported")
        for read in node.inputs:
            if read and read not in values:
                raise Unreadable(f"{node} reads {shown(read)} before it is computed: a cycle, or a missing tensor")
        check_signature(node, graph.opset)
        call = Call(program, node, [values[i] if i else None for i in node.inputs], graph.opset)
        _require_finite(call)
        _require_one_type(call)
        results = split(call) if node.op == "Split" else [OPERATORS[node.op](call)]
        check_known(call)
        for result in results:
            _require_range(call, result)
        values.update(zip(node.outputs, results, strict=False))
    output = values.get(graph.outputs[0][0])
    if output is None or output.kind not in FLOATS or not output.elements or any(isinstance(e, float) for e in output.elements):
        raise Unreadable("the output is not computed, or holds no floating-point numbers")
    program.outputs = output.elements
    return program


def _require_finite(call: Call) -> None:
    """Only the ends of Clip may be infinite."""
    for k, tensor in enumerate(call.inputs):
        allowed = call.node.op in _INFINITE and k > 0
        if tensor is not None and not allowed and float in set(map(type, tensor.elements)):
            raise call.error("reads a number that is not finite")


def _require_one_type(call: Call) -> None:
    """Refuse what mixes numbers of different kinds, and arithmetic of integers that differs from that of reals."""
    op = call.node.op
    if op in _MIXED:
        return
    if op == "Pad":
        mixed = [call.inputs[0], call.optional(2)]
    elif op.startswith("Reduce"):
        mixed = call.inputs[:1]
    else:
        mixed = call.inputs
    kinds = {None if t.kind in FLOATS else t.kind for t in mixed if t is not None}
    if len(kinds) > 1 or (kinds - {None} and op not in (*_EXACT, *REARRANGING)):
        raise call.error("computes with numbers of different types, or with integers, which is not supported")


def _require_range(call: Call, result: Tensor) -> None:
    """Integers that leave their type wrap around in a runtime."""
    if result.kind in RANGES:
        low, high = RANGES[result.kind]
        if any(not (isinstance(e, Fraction) and low <= e <= high and e.denominator == 1) for e in result.elements):
            raise call.error("an integer is beyond its type")
