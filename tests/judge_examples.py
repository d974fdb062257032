"""Certificates written by hand: a minimal one for every kind of claim, on networks whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.judge_drafts import ABSOLUTE, CLASSES, IDENTITY, PLANE, RAMP, Draft, bracket, leaf, split, stream

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


def loss_constants(folder: Path) -> dict[str, Any]:
    """m = relu(x - 1) - 1/2 on [0, 2] reaches 1/2, the cross-entropy grows by 1 / (1 + e^-1/2), 0.62246; the hinge by 1."""
    draft = Draft(folder, CLASSES, "lipschitz", domain={"lower": 0.0, "upper": 2.0})
    values = {"loss:cross-entropy:0": bracket(0.62, 0.6225), "loss:hinge:0": bracket(1.0, 1.0)}
    draft.document["constants"] = [{"functional": f, "norm": "linf", "value": value} for f, value in values.items()]
    claims, ends = [], (("ce", ("62/100", "6225/10000")), ("h", (1, 1)))
    for k, ((name, (low, up)), functional) in enumerate(zip(ends, values, strict=True)):
        common, pointer = {"functional": functional, "norm": "linf"}, f"/constants/{k}/value"
        claims.append({"id": name, "kind": "lip", **common, "value": up, "about": [pointer, "upper"]})
        lower = {"id": f"{name}low", "kind": "liplow", **common, "value": low, "at": ["199/100"], "about": [pointer, "lower"]}
        claims.append(lower)
    return draft.prove(claims, stream("ce", split(0), leaf("soft", up={}), leaf("jac")), stream("h", leaf("jac")))


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


SOFTMAX: list[Any] = [
    [1, "-1/2"],
    {"a": [0, []], "b": "475/1000"},
    {"a": [0, []], "b": "6932/10000"},
    [0, "-1/2"],
    [0, "-5/8"],
    {"a": [0, []], "b": 1},
    {"a": [0, [0, "363/1000"]], "b": "6556/10000"},
    {"a": [1, [0, 1]], "b": "7241/10000"},
]
"""Leader 0: steps to -1/2, and to 0. Leader 1: steps to -5/8, which do not occur, to -1/2, and to 0."""


def cross_entropy(folder: Path) -> dict[str, Any]:
    """log(1 + e^m) with m from -1/2 to 1/2 on [0, 2]: at most m / 2 + 0.7241 where class 1 leads, and 0.6932 elsewhere."""
    draft, threat = _priced(folder, "ce", "cross-entropy", (0.6931, 0.9743))
    common = {"sample": 0, "norm": "l1", "p": 1, "lambda": 0, "loss": "ce", "ce": SOFTMAX}
    price = {"id": "p", "kind": "price", **common, "value": "9741/10000"}
    upper = {"id": "u", "kind": "risk_upper", **threat, "lambda": 0, "terms": [{"price": [["p", 1]]}], "value": "9742/10000"}
    lower = {"id": "l", "kind": "risk_lower", **threat, "atoms": [[0, ["3/2"], 1, "69314/100000"]], "value": "69314/100000"}
    upper["about"], lower["about"] = _ENDS[1], _ENDS[0]
    beyond = leaf("empty", c=[0, [0, 1]])
    return draft.prove([price, upper, lower], stream("p", {"t": "targets"}, *[leaf("bound")] * 2, beyond, *[leaf("bound")] * 2))


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


def no_transport(folder: Path) -> dict[str, Any]:
    """At radius 0 the risk is the loss on the data, -1/2, at any order and without a constant."""
    draft, threat = _priced(folder, "margin", "margin", (-0.5, -0.5))
    draft.document["curve"][0]["radius"], draft.document["threat"]["order"] = 0.0, 3.0
    threat.update(radius=0, order=3)
    upper = {"id": "u", "kind": "risk_upper", **threat, "constants": [], "value": "-1/2", "about": _ENDS[1]}
    lower = {"id": "l", "kind": "risk_lower", **threat, "atoms": [[0, [1], 1]], "value": "-1/2", "about": _ENDS[0]}
    return draft.prove([upper, lower])


def cube(folder: Path) -> dict[str, Any]:
    """Order 2 on R: all mass goes 1/2 to the right, to m = 0; at lambda 1 nothing farther than 1 away is worth as much."""
    draft, threat = _priced(folder, "margin", "margin", (0.0, 0.0))
    draft.document["domain"], draft.document["threat"]["order"] = "Rn", 2.0
    threat.update(order=2)
    lip = {"id": "k", "kind": "lip", "functional": "margin:1-0", "norm": "l1", "value": 1}
    price = {"id": "p", "kind": "price", "sample": 0, "norm": "l1", "p": 2, "lambda": 1, "loss": "margin", "value": "-1/4"}
    price["within"] = {"radius": 1, "lip": "k"}
    upper = {"id": "u", "kind": "risk_upper", **threat, "lambda": 1, "terms": [{"price": [["p", 1]]}], "value": 0}
    lower = {"id": "l", "kind": "risk_lower", **threat, "atoms": [[0, ["3/2"], 1]], "value": 0, "about": _ENDS[0]}
    upper["about"] = _ENDS[1]
    # d^2 >= d - 1/4, and d^2 >= 0
    tree = (split(0), leaf("bound", young=[1, "1/4"]), leaf("bound", young=[0, 0]))
    return draft.prove([lip, price, upper, lower], stream("k", leaf("jac")), stream("p", *tree))


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
        sat, unsat, lipschitz, label_constant, loss_constants, slope, distance, zero_one, margin, hinge, cross_entropy,
        whole_ball, maximum, no_transport, cube,
    )
}  # fmt: skip
"""Name to a function that writes the files and returns the document; every one of them is true and accepted."""
