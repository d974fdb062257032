"""Read a network from an ONNX model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from wdaverify._errors import ModelError, UnsupportedOpError
from wdaverify.ir.builder import GraphBuilder
from wdaverify.ir.lowering import LOWERINGS
from wdaverify.ir.lowering.common import FLOAT_TYPES, MAX_INPUTS, OnnxNode, Tensor
from wdaverify.ir.lowering.constants import constant_value, require_finite
from wdaverify.ir.messages import one_line
from wdaverify.ir.onnx_file import check_inferred_shapes, node_name, node_title, opset_of, parse_model, read_model
from wdaverify.ir.onnx_folding import FOLDABLE, fold_integers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from numpy.typing import NDArray

    from wdaverify.ir.lowering.common import Value
    from wdaverify.ir.network import ModelSource, Network

_SOFTMAX = frozenset({"Softmax", "LogSoftmax"})
_PASSING = frozenset({"Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Cast", "Dropout"})


def from_onnx(source: str | Path | bytes, *, name: str | None = None) -> Network:
    """Read a piecewise-linear network from an ONNX model, exactly.

    Every stored float is taken as the rational number that it is; constants are folded in rational arithmetic, never in
    float32; only a Cast of a constant rounds it, to the type that it names. What is not piecewise linear is refused. A
    Softmax or LogSoftmax at the end is left out: the outputs are then the logits. A limit of Clip, Max or Min at the
    largest number of bfloat16 or beyond is read as none. `Network.notes` tells of both. The batch axis is dropped: one
    sample in, one vector out.

    Parameters
    ----------
    source
        A file name (``.onnx`` or ``.onnx.gz``), or the bytes of a model.
    name
        How messages and `ModelSource.file` call the model; the file's name by default.

    Returns
    -------
    Network
        With ``source`` set, so that the float model can be replayed (`ir.replay`).

    Raises
    ------
    UnsupportedOpError
        If an operator has no exact piecewise-linear form; names node and operator.
    ModelError
        If the model cannot be read or is malformed. Every message begins with the file's name.
    """
    path = None if isinstance(source, bytes) else Path(source)
    file = name or (path.name if path is not None else "model.onnx")
    try:
        content = source if isinstance(source, bytes) else read_model(Path(source))
        model, origin = parse_model(content, file, None if path is None else path.parent)
        return _Importer(model, origin).network()
    except ModelError as error:
        raise type(error)(f"{file}: {one_line(error)}") from None


class _Importer:
    """Walks over the nodes in file order and keeps the value of every tensor."""

    def __init__(self, model: onnx.ModelProto, source: ModelSource) -> None:
        self.model = model
        self.graph = model.graph
        self.opset = opset_of(model)
        self.source = source
        self.notes: list[str] = []
        self.producers = {out: node for node in self.graph.node for out in node.output if out}
        self.output = self._single_output()
        self.needed = self._needed()
        self.readers = Counter(i for node in self.needed for i in node.input)
        self.values: dict[str, Value] = {t.name: _stored(t) for t in self.graph.initializer}
        value = self._single_input()
        shape = self._input_shape(value)
        self.sample_shape = shape[1:] if self.batched else shape
        self.builder = GraphBuilder(int(np.prod(shape)), input_name=value.name)
        self.values[value.name] = Tensor(shape, self.builder.input)

    def network(self) -> Network:
        """Lower all nodes that the output depends on."""
        last = self._final_softmax()
        for node in self.needed:
            if node.op_type in _SOFTMAX:
                if node is not last:
                    raise UnsupportedOpError(f"{node_title(node)}: is not piecewise linear; only a final one can be left out")
                self.notes.append(f"the final {node.op_type} '{node_name(node)}' is left out: the outputs are the logits")
            self._lower(node)
        result = self._value(self.output.name, "the graph")
        if not isinstance(result, Tensor):
            raise ModelError(f"output '{self.output.name}' holds {result.dtype}, not floating-point numbers")
        self._check_output(result)
        check_inferred_shapes(self.model, self.needed)
        require_finite(result, self.output.name)
        return self.builder.finish(result.forms, input_shape=self.sample_shape, notes=self.notes, source=self.source)

    def _value(self, name: str, reader: str) -> Value:
        """The value of a tensor; secondary outputs (a dropout's mask, a pooling's indices) have none."""
        if name not in self.values:
            raise UnsupportedOpError(f"{reader} reads '{name}', a secondary output of {node_title(self.producers[name])}")
        return self.values[name]

    def _lower(self, node: onnx.NodeProto) -> None:
        inputs = [self._value(i, node_title(node)) if i else None for i in node.input]
        for k, (label, value) in enumerate(zip(node.input, inputs, strict=True)):
            if not (node.op_type in {"Max", "Min"} or (node.op_type == "Clip" and k > 0)):  # these take infinite ends
                require_finite(value, label)
        arrays = [v for v in inputs if not isinstance(v, Tensor)]
        integral = len(arrays) == len(inputs) and any(v is not None for v in arrays)
        if integral and node.op_type in FOLDABLE:
            results: Sequence[Value] = fold_integers(node, arrays, self.opset)
        else:
            results = self._lowered(node, inputs)
        for name, value in zip(node.output, results, strict=False):
            if isinstance(value, Tensor) and self.readers[name] > 1 and not value.is_constant:
                value = Tensor(value.shape, self.builder.named(node_name(node)).reference(value.forms))
            self.values[name] = value

    def _lowered(self, node: onnx.NodeProto, inputs: list[Value | None]) -> Sequence[Value]:
        lowering = LOWERINGS.get(node.op_type)
        if lowering is None:
            raise UnsupportedOpError(f"{node_title(node)}: operator {node.op_type} is not piecewise linear or not supported")
        attributes = _attributes(node)
        if node.op_type == "CastLike":
            attributes["to"] = self._element_type(node.input[1])
        view = OnnxNode(node.op_type, node_name(node), self.opset, attributes, tuple(node.output))
        try:
            return lowering(self.builder.named(view.name), view, inputs)
        except ModelError:
            raise
        except (ArithmeticError, IndexError, KeyError, MemoryError, TypeError, AssertionError, ValueError) as error:
            raise ModelError(f"{view}: malformed attributes or inputs: {one_line(error)}") from error

    def _element_type(self, name: str) -> int:
        """The ONNX code of a tensor's type: that of the stored tensor, input or cast from which its numbers come."""
        value = self.values[name]
        if not isinstance(value, Tensor):
            return int(helper.np_dtype_to_tensor_dtype(value.dtype))
        while name in self.producers:
            node = self.producers[name]
            if node.op_type == "Cast":
                return int(next(a.i for a in node.attribute if a.name == "to"))
            if node.op_type in {"Constant", "ConstantOfShape"}:
                return next((int(a.t.data_type) for a in node.attribute if a.name == "value"), TensorProto.FLOAT)
            name = node.input[1 if node.op_type == "CastLike" else 0]  # all other operators keep the type of their input
        for tensor in self.graph.initializer:
            if tensor.name == name:
                return int(tensor.data_type)
        return int(next(v.type.tensor_type.elem_type for v in self.graph.input if v.name == name))

    def _single_output(self) -> onnx.ValueInfoProto:
        if len(self.graph.output) != 1:
            raise ModelError(f"needs exactly one output, found {len(self.graph.output)}: {[o.name for o in self.graph.output]}")
        value: onnx.ValueInfoProto = self.graph.output[0]
        return value

    def _single_input(self) -> onnx.ValueInfoProto:
        stored = {t.name for t in self.graph.initializer}
        free = [v for v in self.graph.input if v.name not in stored]
        if len(free) != 1:
            raise ModelError(f"needs exactly one input, found {len(free)}: {[v.name for v in free]}")
        kind = free[0].type.tensor_type.elem_type
        if not free[0].type.HasField("tensor_type") or kind not in FLOAT_TYPES:
            known = kind in TensorProto.DataType.values()
            label = TensorProto.DataType.Name(kind).lower() if known else str(kind)
            raise ModelError(
                f"input '{free[0].name}' has the input type {label}; only floating-point inputs range over a real domain"
            )
        value: onnx.ValueInfoProto = free[0]
        return value

    def _input_shape(self, value: onnx.ValueInfoProto) -> tuple[int, ...]:
        """The shape with batch axis 1; sets `batched`: a leading axis that is symbolic, 1, or shared with the output."""
        if not value.type.tensor_type.HasField("shape"):
            raise ModelError(f"input '{value.name}' declares no shape")
        dims = list(value.type.tensor_type.shape.dim)
        sizes = [int(d.dim_value) if d.HasField("dim_value") else None for d in dims]
        out = self.output.type.tensor_type.shape.dim
        self.fixed_batch = False
        self.batched = bool(sizes) and (sizes[0] is None or (len(sizes) > 1 and sizes[0] == 1))
        if len(sizes) > 1 and sizes[0] is not None and sizes[0] > 1 and len(out) and out[0].dim_value == sizes[0]:
            self.batched = self.fixed_batch = True
            self.notes.append(f"the batch of {sizes[0]} that input '{value.name}' declares is read as one sample")
        if self.batched:
            sizes[0] = 1
        for axis, size in enumerate(sizes):
            if size is None:
                symbol = dims[axis].dim_param or "?"
                raise ModelError(
                    f"input '{value.name}' has the symbolic dimension '{symbol}' on axis {axis}; fix it when exporting"
                )
        shape = tuple(s for s in sizes if s is not None)
        elements = 1
        for size in shape:
            elements *= size
        if not 0 < elements <= MAX_INPUTS or min(shape, default=1) < 0:
            raise ModelError(f"input '{value.name}' has shape {list(shape)}: the size is not between 1 and {MAX_INPUTS}")
        return shape

    def _needed(self) -> list[onnx.NodeProto]:
        """The nodes that the output depends on, in file order."""
        wanted, stack = set(), [self.output.name]
        while stack:
            name = stack.pop()
            if name in self.producers and name not in wanted:
                stack.extend(i for i in self.producers[name].input if i)
            wanted.add(name)
        return [node for node in self.graph.node if any(out in wanted for out in node.output)]

    def _final_softmax(self) -> onnx.NodeProto | None:
        """The Softmax or LogSoftmax whose result reaches the output unchanged but for its shape."""
        name = self.output.name
        while name in self.producers:
            node: onnx.NodeProto = self.producers[name]
            if node.op_type in _SOFTMAX:
                return node
            if node.op_type not in _PASSING or self.readers[node.input[0]] > 1:
                return None
            name = node.input[0]
        return None

    def _check_output(self, result: Tensor) -> None:
        declared = self.output.type.tensor_type
        if not declared.HasField("shape"):
            return
        sizes = [int(d.dim_value) if d.HasField("dim_value") else None for d in declared.shape.dim]
        if self.fixed_batch:
            sizes[0] = 1
        fits = len(sizes) == result.rank and all(s in {None, d} for s, d in zip(sizes, result.shape, strict=True))
        if not fits:
            shown = [d.dim_param or d.dim_value for d in declared.shape.dim]
            raise ModelError(
                f"mismatched shapes: output '{self.output.name}' is declared as {shown} but comes out as {result.shape}"
            )


def _stored(tensor: onnx.TensorProto) -> Value:
    return constant_value(_array(tensor, f"tensor '{tensor.name}'"), tensor.name)


def _array(tensor: onnx.TensorProto, title: str) -> NDArray[Any]:
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:  # the library raises whatever NumPy does
        raise ModelError(f"{title} cannot be decoded: {one_line(error)}") from None


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes as Python numbers, strings, lists and arrays."""
    result: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.type in {AttributeProto.SPARSE_TENSOR, AttributeProto.SPARSE_TENSORS, AttributeProto.TYPE_PROTO}:
            raise UnsupportedOpError(f"{node_title(node)}: attribute '{attribute.name}' is not a dense tensor")
        value = helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif isinstance(value, TensorProto):
            value = _array(value, f"attribute '{attribute.name}' of {node_title(node)}")
        result[attribute.name] = value
    return result
