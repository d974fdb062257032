"""Read an ONNX file and refuse what is malformed, before anything is computed from it.

The onnx libraries check much, and let through: operators of foreign domains under familiar names, external data outside
the model's folder, shapes whose product no machine can hold. Those are checked here; each message names the culprit.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from onnx import AttributeProto, TensorProto

from wdaverify._errors import ModelError, UnsupportedOpError
from wdaverify.ir.external_data import load_external, location_of
from wdaverify.ir.lowering.common import MAX_ELEMENTS
from wdaverify.ir.messages import one_line
from wdaverify.ir.network import ModelSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

OLDEST_OPSET = 7
"""Operators changed meaning before opset 7 (broadcasting); no current exporter writes older files."""

_TYPED_OPSET = 9
"""Exporters of that time wrote integer Constants although the operator's definition allowed only floats before opset 9."""

_MAX_BYTES = 2**32
_WIDEST = 16
"""Bytes of an element of the widest type (complex128)."""
_PIECE = 2**20
_UNPACKED, _RATIO = 2**26, 100
"""Bytes that a packed model may unpack to: so many, and so many times its own."""
_STANDARD_DOMAINS = frozenset({"", "ai.onnx"})
_HINT = "only networks that are piecewise linear are supported"


def read_model(path: Path) -> bytes:
    """The bytes of an .onnx file, unpacked if its name ends in .gz.

    Raises
    ------
    ModelError
        If the file does not exist, cannot be read or unpacked, or is larger than 4 GiB or than its packed size makes likely.
    """
    if not path.exists():
        raise ModelError("file does not exist")
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise ModelError("is larger than the limit of 4 GiB")
        return _unpacked(path, _UNPACKED + _RATIO * size) if path.suffix.lower() == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ModelError(f"cannot be read: {error}") from None


def _unpacked(path: Path, limit: int) -> bytes:
    """The content of a packed file, read in pieces: a single large read would reserve its memory at once."""
    content = bytearray()
    with gzip.open(path) as stream:
        while piece := stream.read(_PIECE):
            content += piece
            if len(content) > min(limit, _MAX_BYTES):
                raise ModelError(
                    f"unpacks to more than {min(limit, _MAX_BYTES) / 2**20:.0f} MiB, which no model of this size does"
                )
    return bytes(content)


def parse_model(content: bytes, file: str, folder: Path | None) -> tuple[onnx.ModelProto, ModelSource]:
    """Parse and check a model; external data is loaded into it.

    Parameters
    ----------
    folder
        Where external data may lie; None if the model did not come from a file.

    Raises
    ------
    ModelError
        With one line that names the cause.
    """
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError:
        raise ModelError("not a valid ONNX file: truncated or corrupt, it does not parse") from None
    if not model.HasField("graph") or not model.graph.node:
        raise ModelError("not a valid ONNX file: it holds no graph (truncated?)")
    _check_text(model.graph)
    _check_header(model)
    _check_nodes(model.graph)
    external = _check_tensors(model, folder)
    _check_names(model.graph)
    source = ModelSource(file, hashlib.sha256(content).hexdigest(), model.SerializeToString() if external else content)
    _check_with_onnx(model)
    return model, source


def external_files(path: Path) -> list[Path]:
    """The files beside a model that hold its external data, as far as they are there; none of a model that cannot be read.

    A digest of the model alone does not know what they hold.
    """
    try:
        content = read_model(path)
        if b"location" not in content:  # the key of every reference: most models have none, and need no parsing
            return []
        model = onnx.ModelProto.FromString(content)
    except (ModelError, DecodeError):
        return []
    tensors = (tensor for _, tensor in _tensors(model.graph) if tensor.data_location == TensorProto.EXTERNAL)
    names = {name for name in map(location_of, tensors) if name is not None}
    found = []
    for name in sorted(names):
        with suppress(OSError, ValueError):  # a name that no file can have
            if (path.parent / name).is_file():
                found.append(path.parent / name)
    return found


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators that the model uses."""
    return next(int(o.version) for o in model.opset_import if o.domain in _STANDARD_DOMAINS)


def node_title(node: onnx.NodeProto) -> str:
    """How messages name a node."""
    return f"node '{node_name(node)}' ({node.op_type})"


def node_name(node: onnx.NodeProto) -> str:
    """The node's name, or its first output if it has none."""
    return node.name or (node.output[0] if node.output else "") or "unnamed"


def _check_text(graph: onnx.GraphProto) -> None:
    """Protobuf hands out bytes where a name is not UTF-8."""
    texts = [name for node in graph.node for name in (node.name, node.op_type, node.domain, *node.input, *node.output)]
    texts += [attribute.name for node in graph.node for attribute in node.attribute]
    texts += [value.name for value in (*graph.input, *graph.output, *graph.initializer)]
    for text in texts:
        if not isinstance(text, str):
            raise ModelError(f"not a valid ONNX file: corrupt name {text!r}")


def _check_header(model: onnx.ModelProto) -> None:
    versions = [o.version for o in model.opset_import if o.domain in _STANDARD_DOMAINS]
    if not versions:
        raise ModelError("declares no opset of the standard domain (truncated?)")
    newest = onnx.defs.onnx_opset_version()
    if len(set(versions)) > 1 or not OLDEST_OPSET <= versions[0] <= newest:
        raise ModelError(f"opset {sorted(set(versions))} is not supported; export with opset {OLDEST_OPSET} to {newest}")
    if model.functions:
        raise UnsupportedOpError(f"local function '{model.functions[0].name}' is not supported; inline it when exporting")
    if model.graph.sparse_initializer:
        name = model.graph.sparse_initializer[0].values.name
        raise ModelError(f"sparse initializer '{name}' is not supported; store the tensor densely")


def _check_nodes(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        if node.domain not in _STANDARD_DOMAINS:
            raise UnsupportedOpError(f"{node_title(node)}: operator of the foreign domain '{node.domain}'; {_HINT}")
        if not onnx.defs.has(node.op_type):
            raise UnsupportedOpError(f"{node_title(node)}: there is no ONNX operator {node.op_type}; {_HINT}")
        for attribute in node.attribute:
            if attribute.type in {AttributeProto.GRAPH, AttributeProto.GRAPHS}:
                raise UnsupportedOpError(f"{node_title(node)}: control flow (subgraph '{attribute.name}') is not supported")
            if attribute.ref_attr_name:
                raise ModelError(f"{node_title(node)}: attribute '{attribute.name}' refers to a function")


def _check_names(graph: onnx.GraphProto) -> None:
    """Every tensor is produced once, and before it is read."""
    known: set[str] = set()
    for name in (t.name for t in graph.initializer):
        if name in known:
            raise ModelError(f"tensor '{name}' is stored twice (duplicate initializer)")
        known.add(name)
    given = [v.name for v in graph.input]
    if len(set(given)) < len(given):
        raise ModelError(f"an input is declared twice among {given}")
    produced = {name for node in graph.node for name in node.output if name}
    known.update(given)
    for node in graph.node:
        for name in node.input:
            if name and name not in known:
                cause = "nothing produces" if name not in produced else "is produced later: a cycle, or nodes not sorted in order"
                raise ModelError(f"{node_title(node)} reads tensor '{name}', which {cause}")
        for name in node.output:
            if name and name in known:
                raise ModelError(f"{node_title(node)} produces tensor '{name}', which exists already: duplicate name (not SSA)")
            known.add(name)
    for value in graph.output:
        if value.name not in known:
            raise ModelError(f"nothing produces the output '{value.name}'")


def _tensors(graph: onnx.GraphProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    for tensor in graph.initializer:
        yield f"tensor '{tensor.name}'", tensor
    for node in graph.node:
        for attribute in node.attribute:
            for tensor in [attribute.t] if attribute.type == AttributeProto.TENSOR else attribute.tensors:
                yield f"tensor '{tensor.name or attribute.name}' of {node_title(node)}", tensor


def _check_tensors(model: onnx.ModelProto, folder: Path | None) -> bool:
    """Check the sizes of all stored tensors; load external data. Returns whether there was any."""
    budget = _MAX_BYTES
    external = False
    for title, tensor in _tensors(model.graph):
        elements = math.prod(tensor.dims)
        if min(tensor.dims, default=0) < 0 or elements > 4 * MAX_ELEMENTS:
            raise ModelError(f"{title} has dims {list(tensor.dims)}: the size is beyond every limit")
        if tensor.data_location == TensorProto.EXTERNAL:
            budget -= load_external(title, tensor, folder, min(budget, _WIDEST * elements))
            external = True
        if elements > 2 * tensor.ByteSize():
            raise ModelError(f"{title} has dims {list(tensor.dims)}, but its data are of smaller size")
    return external


def _check_with_onnx(model: onnx.ModelProto) -> None:
    """The library's checker; whatever it raises becomes one line."""
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        raise ModelError(f"not a valid ONNX model: {one_line(error)}") from None


def check_inferred_shapes(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """Compare declared shapes and types with the library's strict inference, as a second opinion.

    Only for nodes that have been lowered: on malformed attributes the library's C++ code can end the whole process, and
    the lowerings have refused those.

    Raises
    ------
    ModelError
        If inference contradicts a declaration.
    """
    # Inference disagrees with every runtime on windows that end behind the padding; the lowerings check shapes themselves.
    if any(a.name == "ceil_mode" and a.i for node in nodes for a in node.attribute):
        return
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    del lowered.graph.node[:]
    lowered.graph.node.extend(nodes)
    typed = opset_of(model) >= _TYPED_OPSET
    try:
        onnx.shape_inference.infer_shapes(lowered, check_type=typed, strict_mode=True, data_prop=True)
    except Exception as error:
        raise ModelError(f"mismatched shapes or types: {one_line(error)}") from None
