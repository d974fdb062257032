"""What hand-written certificates are made of: networks, files, records, and a report in the making.

Models are written with the onnx package, which the judge never sees. `x -> |x|`-like networks have two neurons, so that every
number can be checked on paper.
"""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

DATA = Path(__file__).parent / "data"
Layers = list[tuple[list[list[float]], list[float]]]

ABSOLUTE: Layers = [([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])]
"""f(x) = |x|."""
IDENTITY: Layers = [([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, -1.0]], [0.0])]
"""f(x) = relu(x) - relu(-x) = x: both neurons on is a thin cell."""
RAMP: Layers = [([[1.0], [1.0]], [-1.0, -2.0]), ([[1.0, -1.0]], [0.0])]
"""f(x) = relu(x - 1) - relu(x - 2)."""
CLASSES: Layers = [([[1.0]], [-1.0]), ([[0.0], [1.0]], [0.5, 0.0])]
"""f(x) = (1/2, relu(x - 1)): class 0 up to x = 3/2."""
PLANE: Layers = [([[1.0, 1.0], [1.0, -1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])]
"""f(x) = relu(x0 + x1) + relu(x0 - x1)."""


def write_network(path: Path, layers: Layers, *, element: int = TensorProto.FLOAT) -> None:
    """Fully connected layers with ReLU between them."""
    dtype = helper.tensor_dtype_to_np_dtype(element)
    nodes, weights, name = [], [], "X"
    for k, (w, b) in enumerate(layers):
        last = k == len(layers) - 1
        weights += [numpy_helper.from_array(np.array(v, dtype=dtype), f"{n}{k}") for n, v in (("W", w), ("B", b))]
        nodes.append(helper.make_node("Gemm", [name, f"W{k}", f"B{k}"], ["Y" if last else f"z{k}"], transB=1))
        name = f"y{k}"
        if not last:
            nodes.append(helper.make_node("Relu", [f"z{k}"], [name]))
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("X", element, (1, len(layers[0][0][0])))],
        [helper.make_tensor_value_info("Y", element, (1, len(layers[-1][0])))],
        weights,
    )
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString())


def reference(path: Path) -> dict[str, str]:
    """Name and digest of a file."""
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def stream(claim: str, *records: dict[str, Any]) -> dict[str, Any]:
    """An inline stream with its footer."""
    leaves = sum(r["t"] == "leaf" for r in records)
    return {"claim": claim, "records": [*records, {"t": "end", "records": len(records), "leaves": leaves}]}


def packed_lines(*records: dict[str, Any], footer: dict[str, Any] | None = None) -> bytes:
    """The content of a stream file."""
    lines = b"".join(json.dumps(r).encode() + b"\n" for r in records)
    leaves = sum(r["t"] == "leaf" for r in records)
    end = {"t": "end", "records": len(records), "leaves": leaves, "sha256": hashlib.sha256(lines).hexdigest()} | (footer or {})
    return gzip.compress(lines + json.dumps(end).encode() + b"\n")


def leaf(kind: str, **evidence: Any) -> dict[str, Any]:
    """A leaf."""
    return {"t": "leaf", "k": kind, **evidence}


def split(n: int) -> dict[str, Any]:
    """A split of neuron n."""
    return {"t": "split", "n": n}


def bound(n: int, **ends: Any) -> dict[str, Any]:
    """Bounds of neuron n."""
    return {"t": "bound", "n": n, **ends}


def on(n: int, value: Any = 1) -> dict[str, Any]:
    """The multiplier of one phase."""
    return {"p": [0, [n, value]]}


def bracket(lower: Any, upper: Any) -> dict[str, Any]:
    """A proved bracket."""
    return {"lower": lower, "upper": upper, "status": "exact" if lower == upper else "bracket", "evidence": "proved"}


class Draft:
    """A certificate in the making: a report about a network of `layers`, to which claims and streams are added."""

    def __init__(self, folder: Path, layers: Layers, kind: str, **fields: Any) -> None:
        self.folder = folder
        model = folder / "model.onnx"
        write_network(model, layers)
        # A row of zeros is a constant, for which there is no variable.
        sizes = [sum(any(row) for row in w) for w, _ in layers]
        self.program = [f"{'AR'[k % 2]}{sizes[k // 2]}" for k in range(2 * len(layers) - 1)]
        outputs = len(layers[-1][0])
        self.document: dict[str, Any] = {"schema": "wdaverify/1", "kind": kind, "semantics": "real"}
        self.document["model"] = {**reference(model), "inputs": len(layers[0][0][0]), "outputs": outputs}
        self.document |= fields

    def data(self, x: Any, y: Any, **more: Any) -> None:
        """Name a data file."""
        np.savez(self.folder / "data.npz", x=np.array(x, dtype=float), y=np.array(y), **more)
        self.document["data"] = {**reference(self.folder / "data.npz"), "samples": len(y)}

    def property(self, text: str) -> None:
        """Name a property file."""
        (self.folder / "property.vnnlib").write_text(text)
        self.document["property"] = reference(self.folder / "property.vnnlib")

    def prove(self, claims: list[dict[str, Any]], *streams: dict[str, Any]) -> dict[str, Any]:
        """The finished document."""
        proof = {"format": "wdaverify-proof/1", "program": self.program, "claims": claims, "streams": list(streams)}
        return copy.deepcopy({**self.document, "proof": proof})


def write(folder: Path, document: dict[str, Any], name: str = "certificate.json") -> Path:
    """Write a document beside its files."""
    path = folder / name
    path.write_text(json.dumps(document))
    return path
