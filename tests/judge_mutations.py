"""Random changes of a certificate: numbers, records, names, pointers, streams."""

from __future__ import annotations

import contextlib
import copy
import random
from fractions import Fraction
from typing import Any

POOLS = [
    ["l1", "l2", "linf"],
    ["zero-one", "margin", "hinge", "ce", "linear", "cross-entropy"],
    [
        "logit:0",
        "logit:1",
        "margin:0-1",
        "margin:1-0",
        "label:0",
        "label:1",
        "loss:margin:0",
        "loss:margin:1",
        "loss:hinge:0",
        "loss:cross-entropy:1",
        "loss:cross-entropy:0",
    ],
    ["bound", "empty", "thin", "jac", "soft"],
    ["split", "leaf", "bound", "refresh", "targets", "adj", "input", "end"],
    ["lower", "upper", "verdict"],
    ["lip", "liplow", "max", "point", "slope", "price", "distance", "adversary", "unsat", "sat"],
    ["proved", "solver"],
    ["exact", "bracket"],
    ["sat", "unsat"],
]


def mutate(document: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A changed copy; in most cases the footers of the streams count again what is there."""
    result = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        # A later change may find nothing where an earlier one removed it.
        with contextlib.suppress(KeyError, IndexError, TypeError, ValueError, ZeroDivisionError, OverflowError):
            rng.choice((_number, _number, _number, _record, _record, _name, _key, _list))(result, rng)
    streams = result.get("proof", {}).get("streams", [])
    if rng.random() < 0.8 and isinstance(streams, list):
        for stream in streams:
            recount(stream)
    return result


def recount(stream: Any) -> None:
    """Give an inline stream a right footer."""
    if isinstance(stream, dict) and isinstance(stream.get("records"), list):
        records = [r for r in stream["records"] if isinstance(r, dict) and r.get("t") != "end"]
        stream["records"] = [
            *records,
            {"t": "end", "records": len(records), "leaves": sum(r.get("t") == "leaf" for r in records)},
        ]


def _places(value: Any, keep: Any) -> list[tuple[Any, Any]]:
    """All (container, key) whose value satisfies a condition, but for digests."""
    found, stack = [], [value]
    while stack:
        container = stack.pop()
        pairs = container.items() if isinstance(container, dict) else enumerate(container)
        for key, child in list(pairs):
            if key in ("sha256", "file"):
                continue
            if isinstance(child, dict | list):
                stack.append(child)
            if keep(child):
                found.append((container, key))
    return found


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.lstrip("-")[:1].isdigit()
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(document: dict[str, Any], rng: random.Random) -> None:
    container, key = rng.choice(_places(document, _is_number))
    old = container[key]
    if isinstance(old, int) and not isinstance(old, bool) and rng.random() < 0.4:
        container[key] = rng.choice((old + 1, old - 1, 0, 1, 2, 10**6, -1))
        return
    value = Fraction(old) if "x" not in str(old) else Fraction(1)
    tiny = Fraction(1, 1 << 60)
    new: Any = rng.choice(
        (value + tiny, value - tiny, value * 1000, -value, value / 2, value * 2, value + 1, Fraction(0), value + Fraction(1, 8))
    )
    if isinstance(old, float):
        container[key] = float(new)
    else:
        text = f"{new.numerator}/{new.denominator}"
        container[key] = text if rng.random() < 0.95 else rng.choice(("nan", "1/0", "1e9", "0x1p3", "inf", None, True, 1.5))


def _streams(document: dict[str, Any], rng: random.Random) -> list[Any] | None:
    streams = [s["records"] for s in document["proof"]["streams"] if isinstance(s, dict) and s.get("records")]
    return rng.choice(streams) if streams else None


def _record(document: dict[str, Any], rng: random.Random) -> None:
    records = _streams(document, rng)
    if not records:
        return
    i, j = rng.randrange(len(records)), rng.randrange(len(records))
    kind = rng.randrange(7)
    if kind == 0:
        del records[i]
    elif kind == 1:
        records.insert(j, copy.deepcopy(records[i]))
    elif kind == 2:
        records[i], records[j] = records[j], records[i]
    elif kind == 3 and isinstance(records[i], dict):
        records[i]["n"] = rng.randrange(-1, 4)
    elif kind == 4:
        new = rng.choice(
            (_bound(rng), {"t": "leaf", "k": rng.choice(POOLS[3]), **_evidence(rng)}, {"t": "split", "n": rng.randrange(3)})
        )
        records.insert(i, new)
    elif kind == 5:
        records[i] = {"t": "leaf", "k": rng.choice(POOLS[3]), **_evidence(rng)}
    else:
        records.insert(i, {"t": "input", "j": 0, "at": rng.choice((0, "1/2", "-1/2", 1, "3/2"))})


def _bound(rng: random.Random) -> dict[str, Any]:
    new: dict[str, Any] = {"t": rng.choice(("bound", "bound", "adj")), rng.choice(("n", "n", "x")): rng.randrange(3)}
    for end in ("lo", "hi"):
        if rng.random() < 0.6:
            new[end] = rng.choice((0, 1, -1, "1/2", "-1/2", 2, -2))
            if rng.random() < 0.5:
                new[f"e{end}"] = _evidence(rng)
    return new


def _evidence(rng: random.Random) -> dict[str, Any]:
    """Random multipliers and slopes."""
    chosen: dict[str, Any] = {}
    for key in "pulcas":
        if rng.random() < 0.3:
            ids = sorted(rng.sample(range(3), rng.randint(1, 2)))
            chosen[key] = [1, [v for n in ids for v in (n, rng.choice((0, 1, 2)))]]
    if rng.random() < 0.2:
        chosen[rng.choice("bo")] = rng.choice((0, 1, "1/2"))
    return chosen


def _name(document: dict[str, Any], rng: random.Random) -> None:
    pooled = {word: pool for pool in POOLS for word in pool}
    container, key = rng.choice(_places(document, lambda v: isinstance(v, str) and v in pooled))
    container[key] = rng.choice(pooled[container[key]])


def _key(document: dict[str, Any], rng: random.Random) -> None:
    """Remove, add or copy a field."""
    container, key = rng.choice(_places(document["proof"], lambda v: True))
    if isinstance(container, list):
        return
    if rng.random() < 0.5:
        del container[key]
    else:
        container[rng.choice(("cutoff", "round", "value", "ball", "about", "lambda", "x", "a", "s", "p"))] = copy.deepcopy(
            container[key]
        )


def _list(document: dict[str, Any], rng: random.Random) -> None:
    container, key = rng.choice(_places(document, lambda v: isinstance(v, list) and v))
    items = container[key]
    i, j = rng.randrange(len(items)), rng.randrange(len(items))
    if rng.random() < 0.4:
        del items[i]
    elif rng.random() < 0.5:
        items.insert(j, copy.deepcopy(items[i]))
    else:
        items[i], items[j] = items[j], items[i]
