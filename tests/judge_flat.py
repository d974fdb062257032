"""Random networks with flat parts, and questions about them for the judge."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from fractions import Fraction

from tests.judge_asks import Ask
from tests.judge_cells import ONE, ZERO, Net, Row
from wdaverify.check.context import Cost

KINDS = ("lip", "lip", "lip", "max", "price", "distance", "unsat", "slope")
NORMS = ("l1", "l2", "linf")
FAMILIES = ("small", "flat", "flat", "fine", "wide")


def network(rng: random.Random, inputs: int, family: str) -> Net:
    """Few different weights, copies, opposites, sums and cancellations: neurons vanish on open sets, kinks coincide."""
    scales = [ONE, ONE, Fraction(2), Fraction(1, 2)]
    widths = {"wide": (7, 7), "fine": rng.choice(((3, 2), (3, 3), (4, 3)))}.get(family) or rng.choice(
        ((3,), (4,), (6,), (2, 2), (3, 2), (3, 3), (4, 3), (2, 2, 2))
    )
    layers: list[list[Row]] = []
    last, first, skips = list(range(inputs)), inputs, rng.random() < 0.3
    pool = list(last)
    for width in widths:
        layer: list[Row] = []
        for _ in range(width):
            draw = rng.random()
            if family == "fine":
                row = _fine(rng, layer, layers[-1] if layers else [], last)
            elif layer and draw < (0.2 if family == "small" else 0.5):
                row = _related(rng, layer, scales)
            elif layers and draw < 0.7 and family != "wide":
                row = _cancelling(rng, layers[-1], last, scales)
            else:
                row = _random(rng, pool if skips else last, dense=family == "wide")
            layer.append(row if any(row[0].values()) else _random(rng, last, dense=True))
        layers.append(layer)
        pool += [*range(first, first + width)]
        last, first = list(range(first + width, first + 2 * width)), first + 2 * width
        pool += last
    count = rng.choice((1, 2, 2, 3))
    outputs = [_random(rng, pool if skips else last, dense=rng.random() < 0.6) for _ in range(count)]
    return Net(inputs, layers, outputs, shared=rng.random() < 0.4)


def _random(rng: random.Random, pool: list[int], *, dense: bool) -> Row:
    weights = (-3, -2, -1, 1, 2, 100) if dense else (-2, -1, -1, 0, 0, 1, 1, 2)
    row = {v: Fraction(rng.choice(weights)) for v in pool}
    if not any(row.values()):
        row[rng.choice(pool)] = ONE
    return {v: w for v, w in row.items() if w}, Fraction(rng.choice((0, 0, 0, 1, -1, 2, -1)), rng.choice((1, 1, 2)))


def _related(rng: random.Random, layer: list[Row], scales: list[Fraction]) -> Row:
    """A copy, an opposite, a shift or a sum of neurons of the same layer."""
    weights, bias = rng.choice(layer)
    s = rng.choice(scales) * rng.choice((1, 1, -1))
    total = {v: s * w for v, w in weights.items()}
    bias *= s
    if rng.random() < 0.25:
        more, shift = rng.choice(layer)
        for v, w in more.items():
            total[v] = total.get(v, ZERO) + w
        bias += shift
    return {v: w for v, w in total.items() if w}, bias + rng.choice((0, 0, 0, 0, 1, -1))


def _fine(rng: random.Random, layer: list[Row], before: list[Row], last: list[int]) -> Row:
    """Copies of the first neuron times great or small powers of two, and differences of these that vanish where it is on."""
    if before and rng.random() < 0.8:
        k = rng.randrange(1, len(before))
        v = next(iter(before[0][0]))
        sign = rng.choice((1, 1, -1))
        return {last[0]: Fraction(sign), last[k]: -sign * before[0][0][v] / before[k][0][v]}, ZERO
    if before or not layer:
        return {v: Fraction(rng.choice((1, 2))) for v in last}, Fraction(rng.choice((1, 2, 2)) if not before else 0)
    scale = Fraction(2) ** rng.choice((40, 80, -40, -80))
    return {v: scale * w for v, w in layer[0][0].items()}, scale * layer[0][1]


def _cancelling(rng: random.Random, before: list[Row], last: list[int], scales: list[Fraction]) -> Row:
    """One or two outputs of the layer before: where those are copies, in a ratio that makes the difference vanish."""
    if rng.random() < 0.2:
        return {rng.choice(last): Fraction(rng.choice((-1, -1, 1, -2)))}, ZERO
    i, k = rng.randrange(len(last)), rng.randrange(len(last))
    v, w = next(iter(before[i][0].values())), next(iter(before[k][0].values()))
    ratio = rng.choice((v / w, v / w, rng.choice(scales)))
    sign = rng.choice((1, 1, -1))
    row = {last[i]: Fraction(sign)}
    if i != k and rng.random() < 0.85:
        row[last[k]] = -sign * abs(ratio)
    if rng.random() < 0.3:
        j = rng.choice(last)
        row[j] = row.get(j, ZERO) + rng.choice((1, -1, *scales[:2]))
    return {v: w for v, w in row.items() if w}, Fraction(rng.choice((0, 0, 0, 0, 1, -1)))


def random_ask(rng: random.Random, family: str | None = None) -> Ask:
    """A random question on a random network."""
    family = family or rng.choice(FAMILIES)
    kind, inputs = "lip" if family == "fine" else rng.choice(KINDS), 1 if family == "wide" else rng.choice((1, 1, 1, 2, 2, 3))
    net = network(rng, inputs, family)
    ends = [(Fraction(rng.choice((-2, -1, 0))), Fraction(rng.choice((1, 2)))) for _ in range(inputs)]
    if inputs > 2 or (inputs > 1 and rng.random() < 0.2):
        a = ends[0][1]
        ends[0] = (a, a)
        net.layers[0][rng.randrange(len(net.layers[0]))] = {0: ONE}, -a  # 0 all around, with a gradient in what is fixed
    grid = sorted(Fraction(k, 2) for k in rng.sample(range(-3, 4), 3))
    outputs = range(len(net.outputs))
    objective: Row = {k: Fraction(rng.choice((-1, 1, 2)), rng.choice((1, 3))) for k in outputs}, ZERO
    bits = 64 if family == "fine" else rng.choice((None, None, 64))
    if kind == "lip":
        options = {"norm": rng.choice(NORMS), "bits": bits, "logistic": rng.random() < 0.2}
        options["stated"] = Fraction(rng.choice((0, 1, 2, 5, 50)))
        return Ask(net, kind, ends, grid, [(objective, [])], objective[0], options=options, infinite=_infinite(rng, ends)).ready()
    norm = rng.choice(NORMS)
    options = {"bits": bits, "strict": kind == "unsat" and rng.random() < 0.3, "radius": Fraction(rng.choice((1, 2, 3)), 2)}
    center = tuple(min(max(Fraction(rng.randrange(-2, 3), 2), a), b) for a, b in ends)
    ball_cost = Cost(norm, Fraction(2 if norm == "l2" else 1), center)
    ask = Ask(net, kind, ends, grid, [(objective, [])], options=options)
    if rng.random() < 0.3 and kind in ("max", "price", "slope"):
        ask.cutoff = Fraction(rng.randrange(-3, 4))
    if kind == "slope":
        _without_biases(net)
        ask.ends, ask.ball, options["homogeneous"], options["radius"] = [(-ONE, ONE)] * inputs, ONE, True, ONE
        ask.cost = replace(ball_cost, center=(ZERO,) * inputs)
        ask.grid = [t for t in grid if abs(t) < 1]
    elif kind == "unsat":
        ask.targets = [(({}, ZERO), [_random(rng, list(outputs), dense=True)]) for _ in range(rng.choice((1, 1, 2)))]
    elif kind in ("price", "distance"):
        _transport(rng, ask, ball_cost)
    elif rng.random() < 0.5:
        _with_ball(ask, ball_cost)
    return ask.ready()


def _with_ball(ask: Ask, cost: Cost) -> None:
    ask.cost, ask.ball = cost, ask.options["radius"] ** int(cost.order)


def _transport(rng: random.Random, ask: Ask, cost: Cost) -> None:
    """A price or a distance: targets are the classes, domains may have whole coordinates, rows and weights."""
    count = len(ask.net.outputs)
    one, margin = dict.fromkeys(range(count), ONE), ask.kind == "distance" or rng.random() < 0.5
    if rng.random() < 0.3:
        cost = replace(cost, weights=tuple(Fraction(rng.choice((1, 2, 3)), rng.choice((1, 2))) for _ in ask.ends))
    if margin and count > 1:
        pairs = [[({j: one[j], k: -ONE}, ZERO) for k in range(count) if k != j] for j in range(1, count)]
        ask.targets = [(rows[0] if ask.kind == "price" else ({}, ZERO), rows) for rows in pairs]
    elif ask.kind == "distance":
        ask.targets = [(({}, ZERO), [({0: ONE}, ZERO)])]
    if rng.random() < 0.4:
        ask.whole = frozenset(j for j, (a, b) in enumerate(ask.ends) if a < b and rng.random() < 0.7)
        cost = replace(cost, center=tuple(Fraction(math.floor(c)) if j in ask.whole else c for j, c in enumerate(cost.center)))
    if rng.random() < 0.3:
        ask.facts = [_random(rng, list(range(ask.net.inputs)), dense=True)]
    if ask.kind == "distance" or rng.random() < 0.3:
        ask.multiplier = ONE if ask.kind == "distance" else ZERO
        if ask.kind == "price" or rng.random() < 0.6:
            _with_ball(ask, cost)
        else:
            ask.cost = cost
            ask.options["strict"] = rng.random() < 0.2
        return
    ask.cost = replace(cost, order=Fraction(rng.choice(("1", "1", "2", "3/2", "3"))))
    ask.multiplier = Fraction(rng.choice((0, 1, 2, 5, 30)), rng.choice((1, 2)))
    ask.infinite = {} if ask.whole else _infinite(rng, ask.ends)


def _infinite(rng: random.Random, ends: list[tuple[Fraction, Fraction]]) -> dict[tuple[int, bool], bool]:
    """Ends of free coordinates that are infinite for the judge: the truth on the box is a part of what it must cover."""
    share = rng.choice((0, 0, 0, 0, 0.3, 1))
    return {(j, up): rng.random() < share for j, (a, b) in enumerate(ends) if a < b for up in (False, True)}


def _without_biases(net: Net) -> None:
    net.layers = [[(w, ZERO) for w, _ in layer] for layer in net.layers]
    net.outputs = [(w, ZERO) for w, _ in net.outputs]
