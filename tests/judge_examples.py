"""Certificates written by hand: a minimal one for every kind of claim, on networks whose answers are known.

Models are written with the onnx package, which the judge never sees. `x -> |x|`-like networks have two neurons, so that every
number can be checked on paper.
"""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
from collections.abc import Callable
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


BOX1 = {"lower": -1.0, "upper": 1.0}
_DECLARED = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 -1.0))(assert (<= X_0 1))"


def sat(folder: Path) -> dict[str, Any]:
    draft = Draft(folder, ABSOLUTE, "property", verdict="sat", evidence="proved", domain="property")
    draft.property(_DECLARED + "(assert (>= Y_0 0.75))")
    return draft.prove([{"id": "c0", "kind": "sat", "x": ["-3/4"], "about": ["/verdict", "verdict"]}])


def unsat(folder: Path) -> dict[str, Any]:
    """Two disjuncts: |x| >= 1.25 and |x| <= -0.25."""
    draft = Draft(folder, ABSOLUTE, "property", verdict="unsat", evidence="proved", domain="property")
    draft.property(_DECLARED + "(assert (or (>= Y_0 1.25) (<= Y_0 -0.25)))")
    claim = {"id": "c0", "kind": "unsat", "about": ["/verdict", "verdict"]}
    high = leaf("empty", c=[0, [0, 1]], s=[1, [0, 1, 1, 1]])  # relu(z) <= (z + 1) / 2 for both: |x| <= 1
    return draft.prove([claim], stream("c0", {"t": "targets"}, high, leaf("empty", c=[0, [0, 1]])))


def lipschitz(folder: Path) -> dict[str, Any]:
    """The constant of x = relu(x) - relu(-x) is 1, although both neurons on would give 2."""
    draft = Draft(folder, IDENTITY, "lipschitz", domain=BOX1)
    draft.document["constants"] = [{"functional": "logit:0", "norm": "linf", "value": bracket(1.0, 1.0)}]
    upper = {"id": "c0", "kind": "lip", "functional": "logit:0", "norm": "linf", "value": 1}
    lower = {"id": "c1", "kind": "liplow", "functional": "logit:0", "norm": "linf", "value": 1, "pair": [[0], [1]]}
    upper["about"], lower["about"] = ["/constants/0/value", "upper"], ["/constants/0/value", "lower"]
    thin = leaf("thin", p=[0, [0, 1, 1, 1]])
    tree = (split(0), split(1), thin, leaf("jac"), split(1), leaf("jac"), leaf("jac"))
    return draft.prove([upper, lower], stream("c0", *tree))


def label_constant(folder: Path) -> dict[str, Any]:
    """label:0 of two classes, by `all`, with the gradient at 5/4 below; and the cross-entropy by it."""
    draft = Draft(folder, CLASSES, "lipschitz", domain={"lower": 0.0, "upper": 2.0})
    names = ["label:0", "loss:margin:0", "loss:cross-entropy:0"]
    draft.document["constants"] = [{"functional": f, "norm": "l2", "value": bracket(0, 1.0)} for f in names]
    draft.document["constants"][0]["value"] = bracket(1.0, 1.0)
    common = {"norm": "l2", "value": 1}
    claims = [
        {"id": "m", "kind": "lip", "functional": "margin:0-1", **common},
        {"id": "all", "kind": "all", "of": ["m"], "value": 1, "about": ["/constants/0/value", "upper"]},
        {
            "id": "low",
            "kind": "liplow",
            "functional": "margin:1-0",
            **common,
            "at": ["5/4"],
            "about": ["/constants/0/value", "lower"],
        },
        {"id": "lm", "kind": "lip", "functional": "loss:margin:0", **common, "about": ["/constants/1/value", "upper"]},
        {"id": "ce", "kind": "lip", "functional": "loss:cross-entropy:0", **common, "of": "all"},
    ]
    claims[4]["about"] = ["/constants/2/value", "upper"]
    return draft.prove(claims, stream("m", leaf("jac")), stream("lm", leaf("jac")))


def slope(folder: Path) -> dict[str, Any]:
    """relu(x0 + x1) + relu(x0 - x1) grows by 2 per unit of linf, by sqrt 2 or more of l2."""
    draft = Draft(folder, PLANE, "lipschitz", domain="Rn")
    value = bracket(2.0, 2.0)
    draft.document["slopes"] = [{"functional": "logit:0", "norm": "linf", "value": value, "direction": [1.0, 0.0]}]
    objective = {"objective": [[0, 1]], "value": 2}
    claims = [
        {"id": "c0", "kind": "slope", "norm": "linf", **objective, "about": ["/slopes/0/value", "upper"]},
        {"id": "c1", "kind": "point", "norm": "linf", "recession": True, "x": [1, 0], **objective},
    ]
    claims[1]["about"] = ["/slopes/0/value", "lower"]
    on_on = leaf("bound")  # z0 + z1 = 2 x0
    one_on = leaf("bound")
    return draft.prove(claims, stream("c0", split(0), split(1), on_on, one_on, split(1), one_on, leaf("bound")))


def distance(folder: Path) -> dict[str, Any]:
    """From x = 1 the other class is reached at 3/2."""
    draft = Draft(folder, CLASSES, "distance", domain={"lower": 0.0, "upper": 2.0}, options={"norm": "l2"})
    draft.data([[1.0]], [0])
    draft.document["distances"] = [{"sample": 0, "label": 0, "distance": bracket(0.5, 0.5)}]
    claims = [
        {"id": "d", "kind": "distance", "sample": 0, "norm": "l2", "radius": 1, "value": "1/2"},
        {"id": "a", "kind": "adversary", "sample": 0, "norm": "l2", "x": ["3/2"], "value": "1/2"},
    ]
    claims[0]["about"], claims[1]["about"] = ["/distances/0/distance", "lower"], ["/distances/0/distance", "upper"]
    # On: relu(x - 1) - 1/2 >= 0 with multiplier 1: max of (x - 3/2) - (x - 1)^2 is -1/4.
    return draft.prove(claims, stream("d", split(0), leaf("bound", c=[0, [0, 1]]), leaf("empty", c=[0, [0, 1]])))


def zero_one(folder: Path) -> dict[str, Any]:
    """Two samples at 1 and 0: with radius 1/8 and order 1 a quarter of the mass at distance 1/2 moves."""
    draft = Draft(folder, CLASSES, "risk", domain={"lower": 0.0, "upper": 2.0}, loss="zero-one", nominal_risk=0.0)
    draft.data([[1.0], [0.0]], [0, 0])
    draft.document["threat"] = {"norm": "linf", "order": 1.0}
    draft.document["curve"] = [{"radius": 0.125, "worst_case_risk": bracket(0.25, 0.25)}]
    about = "/curve/0/worst_case_risk"
    threat = {"radius": "1/8", "order": 1, "norm": "linf", "loss": "zero-one", "value": "1/4"}
    claims = [
        {"id": "d0", "kind": "distance", "sample": 0, "norm": "linf", "radius": 1, "value": "1/2"},
        {"id": "d1", "kind": "distance", "sample": 1, "norm": "linf", "radius": "3/2", "value": "3/2"},
        {"id": "u", "kind": "risk_upper", **threat, "terms": ["d0", "d1"], "about": [about, "upper"]},
        {"id": "l", "kind": "risk_lower", **threat, "about": [about, "lower"]},
    ]
    claims[3]["atoms"] = [[0, [1], "1/4"], [0, ["3/2"], "1/4"], [1, [0], "1/2"]]
    tree = (split(0), leaf("bound", c=[0, [0, 1]]), leaf("empty", c=[0, [0, 1]]))
    return draft.prove(claims, stream("d0", *tree), stream("d1", *tree))


def _priced(folder: Path, loss: str, name: str, bounds: tuple[Any, Any]) -> tuple[Draft, dict[str, Any]]:
    draft = Draft(folder, CLASSES, "risk", domain={"lower": 0.0, "upper": 2.0}, loss=name)
    draft.data([[1.0]], [0])
    draft.document["threat"] = {"norm": "l1", "order": 1.0}
    draft.document["curve"] = [{"radius": 0.5, "worst_case_risk": bracket(*bounds)}]
    return draft, {"radius": "1/2", "order": 1, "norm": "l1", "loss": loss}


_ENDS = (["/curve/0/worst_case_risk", "lower"], ["/curve/0/worst_case_risk", "upper"])


def margin(folder: Path) -> dict[str, Any]:
    """m(x) = relu(x - 1) - 1/2 grows by 1: from x = 1 with radius 1/2 the risk is 0, by a price at lambda 1."""
    draft, threat = _priced(folder, "margin", "margin", (0.0, 0.0))
    price = {"id": "p", "kind": "price", "sample": 0, "norm": "l1", "p": 1, "lambda": 1, "loss": "margin", "value": "-1/2"}
    upper = {
        "id": "u",
        "kind": "risk_upper",
        **threat,
        "lambda": 1,
        "terms": [{"price": [["p", 1]]}],
        "value": 0,
        "about": _ENDS[1],
    }
    lower = {"id": "l", "kind": "risk_lower", **threat, "atoms": [[0, ["3/2"], 1]], "value": 0, "about": _ENDS[0]}
    return draft.prove([price, upper, lower], stream("p", split(0), leaf("bound"), leaf("bound")))


def hinge(folder: Path) -> dict[str, Any]:
    """max(0, 1 + m): 1 at x = 3/2, by the Lipschitz constant of the margin."""
    draft, threat = _priced(folder, "hinge", "hinge", (1.0, 1.0))
    lip = {"id": "k", "kind": "lip", "functional": "margin:1-0", "norm": "l1", "value": 1}
    upper = {"id": "u", "kind": "risk_upper", **threat, "lambda": 1, "terms": [{"lip": "k"}], "value": 1, "about": _ENDS[1]}
    lower = {"id": "l", "kind": "risk_lower", **threat, "atoms": [[0, ["3/2"], 1]], "value": 1, "about": _ENDS[0]}
    return draft.prove([lip, upper, lower], stream("k", leaf("jac")))


def cross_entropy(folder: Path) -> dict[str, Any]:
    """log(1 + e^m) with m from -1/2 to 1/2: at most log(1 + e^(1/2)) on [0, 2], with sp interpolated at -1/2 and 1/2."""
    draft, threat = _priced(folder, "ce", "cross-entropy", (0.6931, 0.9743))
    ce = {"t": ["-1/2", "1/2"], "c": ["475/1000", "9741/10000"]}
    price = {
        "id": "p",
        "kind": "price",
        "sample": 0,
        "norm": "l1",
        "p": 1,
        "lambda": 0,
        "loss": "ce",
        "ce": ce,
        "value": "9741/10000",
    }
    upper = {"id": "u", "kind": "risk_upper", **threat, "lambda": 0, "terms": [{"price": [["p", 1]]}], "value": "9742/10000"}
    lower = {"id": "l", "kind": "risk_lower", **threat, "atoms": [[0, ["3/2"], 1, "69314/100000"]], "value": "69314/100000"}
    upper["about"], lower["about"] = _ENDS[1], _ENDS[0]
    return draft.prove([price, upper, lower], stream("p", leaf("bound")))


def whole_ball(folder: Path) -> dict[str, Any]:
    """Order infinity: every point of the ball of radius 1/2 about 1 has m <= 0."""
    draft, threat = _priced(folder, "margin", "margin", (0.0, 0.0))
    draft.document["threat"]["order"] = "inf"
    threat["order"] = "inf"
    price = {"id": "p", "kind": "price", "sample": 0, "norm": "l1", "p": 1, "lambda": 0, "loss": "margin", "value": 0}
    price["ball"] = {"sample": 0, "norm": "l1", "radius": "1/2"}
    upper = {"id": "u", "kind": "risk_upper", **threat, "terms": [{"price": [["p", 1]]}], "value": 0, "about": _ENDS[1]}
    lower = {"id": "l", "kind": "risk_lower", **threat, "atoms": [[0, ["3/2"], 1]], "value": 0, "about": _ENDS[0]}
    return draft.prove([price, upper, lower], stream("p", split(0), leaf("bound"), leaf("bound")))


def maximum(folder: Path) -> dict[str, Any]:
    """`max`, `point`, and constants instead of terms: risk of f itself is at most f(x_0) + radius * 1."""
    draft = Draft(folder, RAMP, "risk", domain={"lower": 0.0, "upper": 4.0}, loss="linear", objective=[[0, 1]])
    draft.data([[1.0]], [0])
    draft.document["threat"] = {"norm": "linf", "order": 1.0}
    draft.document["curve"] = [{"radius": 0.5, "worst_case_risk": bracket(0.5, 0.5)}]
    threat = {"radius": "1/2", "order": 1, "norm": "linf", "loss": "linear", "objective": [[0, 1]], "value": "1/2"}
    claims = [
        {"id": "m", "kind": "max", "objective": [[0, 1]], "value": 1},
        {"id": "q", "kind": "point", "objective": [[0, 1]], "x": [2], "value": 1},
        {"id": "k", "kind": "lip", "functional": "logit:0", "norm": "linf", "value": 1},
        {"id": "u", "kind": "risk_upper", **threat, "constants": ["k"], "about": _ENDS[1]},
        {"id": "l", "kind": "risk_lower", **threat, "atoms": [[0, ["3/2"], 1]], "about": _ENDS[0]},
    ]
    later = (split(1), leaf("bound", a=[0, [1, 1]]))
    first = stream("m", split(0), *later, leaf("bound"), leaf("bound"))
    # On, on: z0 - z1 = 1. On, off: z0 = x - 1 with -z1 >= 0: 1. Off: 0.
    first["records"][3] = leaf("bound", p=[0, [1, 1]])
    return draft.prove(claims, first, stream("k", split(0), leaf("jac"), leaf("jac")))


EXAMPLES: dict[str, Callable[[Path], dict[str, Any]]] = {
    f.__name__: f
    for f in (
        sat, unsat, lipschitz, label_constant, slope, distance, zero_one, margin, hinge, cross_entropy, whole_ball, maximum,
    )
}  # fmt: skip
"""Name to a function that writes the files and returns the document; every one of them is true and accepted."""


def write(folder: Path, document: dict[str, Any], name: str = "certificate.json") -> Path:
    """Write a document beside its files."""
    path = folder / name
    path.write_text(json.dumps(document))
    return path
