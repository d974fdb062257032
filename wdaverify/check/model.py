"""The program of a model file."""

from __future__ import annotations

from .lower import Call, Tensor, wanted
from .lower_linear import LINEAR
from .lower_piecewise import PIECEWISE
from .lower_shapes import REARRANGING, check_known, split
from .lower_windows import WINDOWS
from .num import Unreadable, shown
from .onnxwire import FLOATS, Graph, read_model, size_of
from .program import Program

OPERATORS = {**LINEAR, **PIECEWISE, **REARRANGING, **WINDOWS}
_INFINITE = ("Clip",)


def program_of(content: bytes, name: str) -> Program:
    """The program of a model's bytes; every failure names the file."""
    try:
        return _lowered(read_model(content))
    except Unreadable as error:
        raise Unreadable(f"{name}: {error}") from None
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise Unreadable(f"{name}: malformed: {type(error).__name__}") from None


def _lowered(graph: Graph) -> Program:
    if graph.opset < 7:
        raise Unreadable(f"operator version {graph.opset} is not supported; 7 is the oldest")
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
        call = Call(program, node, [values[i] if i else None for i in node.inputs], graph.opset)
        _require_finite(call)
        if node.op == "Split":
            results = split(call)
        elif node.op in OPERATORS:
            results = [OPERATORS[node.op](call)]
        else:
            raise Unreadable(f"{node}: operator {shown(node.op)} is not supported")
        check_known(call)
        values.update(zip(node.outputs, results, strict=False))
    result = values.get(graph.outputs[0][0])
    if result is None or result.kind not in FLOATS or not result.elements or any(isinstance(e, float) for e in result.elements):
        raise Unreadable("the output is not computed, or holds no floating-point numbers")
    program.outputs = result.elements
    return program


def _require_finite(call: Call) -> None:
    """Only the ends of Clip may be infinite."""
    for k, tensor in enumerate(call.inputs):
        allowed = call.node.op in _INFINITE and k > 0
        if tensor is not None and not allowed and float in set(map(type, tensor.elements)):
            raise call.error("reads a number that is not finite")
