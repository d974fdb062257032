"""Proof trees made to deceive: at every node, random facts as tight as the judge admits, and leaves that should not close.

Multipliers are drawn at random, or solve for a combination of facts that vanishes: what makes a cell look thin or a bound tight.
Everything the judge accepts is compared with the corners and cells of the node, which are filtered by the splits alone.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from tests.judge_asks import Ask, Place
from tests.judge_cells import ONE, ZERO, between, solve
from tests.judge_walks import evidence, mixed
from wdaverify.check.adjoint import adjoint_bound
from wdaverify.check.engine import Evidence, Sweep, query
from wdaverify.check.num import Rejected
from wdaverify.check.program import Form
from wdaverify.check.tree import Tree

Fields = dict[str, Any]


class Liar:
    """One tree, walked at random."""

    def __init__(self, ask: Ask, rng: random.Random, size: int = 14, tries: int = 6) -> None:
        self.ask, self.rng, self.left, self.tries = ask, rng, size, tries
        self.tree = Tree(ask.question, part=lambda fields: self.node(self.parted[0], inside=True))
        self.parted: list[Place] = []
        self.accepted = 0

    def run(self) -> Fraction | None:
        """The value that the judge finds; raises AssertionError where it accepts what is false."""
        ask = self.ask
        place = ask.aim(Place(None, ask.root, ask.cells), 0) if len(ask.targets) == 1 else Place(None, ask.root, ask.cells)
        value = self.tree.run(self.node(place, inside=False)).value
        for k in range(len(ask.targets)):
            ask.holds("whole", value, ask.aim(Place(None, ask.root, ask.cells), k))
        return value

    # The walk

    def node(self, place: Place, *, inside: bool) -> Iterator[Fields]:
        """All records of a subtree."""
        rng = self.rng
        self.agrees(place)
        draws = [self.one] * rng.choice((0, 1, 1, 2)) + [self.many] * rng.choice((0, 0, 1))
        if self.ask.gradient is not None:  # adjoints before and after bounds: what the one says must agree with the other
            draws += rng.choice(((), (), (self.refresh,), (self.refresh, self.many), (self.many, self.refresh)))
        for draw in draws:
            for record in draw():
                yield record
                self.agrees(place)
        closing = self.probes(place)
        self.left -= 1
        if place.target is None and (self.left < 0 or rng.random() < 0.7):
            yield from self.below({"t": "targets"}, [self.ask.aim(place, k) for k in range(len(self.ask.targets))], inside)
        elif not inside and self.left > 0 and rng.random() < 0.06:
            self.parted.insert(0, place)
            yield {"t": "part"}
            self.parted.pop(0)
        else:
            record, children = self.division(place) if self.left > 0 and rng.random() < 0.85 else (None, [])
            if record is not None:
                yield from self.below(record, children, inside)
            elif closing:
                yield {"t": "leaf", **rng.choice(closing)}
            else:
                raise Rejected("no leaf closes this node")

    def below(self, record: Fields, children: list[Place], inside: bool) -> Iterator[Fields]:
        before = self.state()
        yield record
        for child in children:
            self.restored(before, record)
            yield from self.node(child, inside=inside)

    def division(self, place: Place) -> tuple[Fields | None, list[Place]]:
        """A split, with the points and cells of each child."""
        ctx, rng, net = self.tree.ctx, self.rng, self.ask.net
        kind = rng.choice(("split", "split", "split", "input", "whole" if self.ask.question.whole else "split"))
        free = [n for n, f in enumerate(ctx.fixed) if not f]
        if place.target is None and len(self.ask.targets) > 1:
            return None, []
        if kind == "split" and free:
            n = rng.choice(free)
            z = net.neurons[n][0]
            on = place.where(lambda p: p.values[z] >= 0, lambda p: p.values[z] > 0)
            off = place.where(lambda p: p.values[z] <= 0, lambda p: p.values[z] <= 0)
            return {"t": "split", "n": n}, [on, off]
        j = rng.randrange(net.inputs)
        low, high = ctx.low[j], ctx.high[j]
        cuts = [t for t in self.ask.grid if (low is None or low < t) and (high is None or t < high)]
        if kind == "whole" and j in self.ask.question.whole:
            cuts = list(map(Fraction, range(-4, 4)))
        if not cuts:
            return None, []
        t, step = rng.choice(cuts), int(kind == "whole" and j in self.ask.question.whole)
        below = place.where(lambda p: p.values[j] <= t, lambda p: p.values[j] < t)
        above = place.where(lambda p: p.values[j] >= t + step, lambda p: p.values[j] > t + step)
        if step:  # a side beyond the range is no child
            sides = (below, low is not None and t < low), (above, high is not None and t + 1 > high)
            assert not any(side.points for side, gone in sides if gone), (t, low, high)
            return {"t": "whole", "j": j, "at": str(t)}, [side for side, gone in sides if not gone]
        return {"t": "input", "j": j, "at": str(t)}, [below, above]

    # What the tree keeps

    def state(self) -> list[list[Any]]:
        ctx = self.tree.ctx
        kept = (ctx.l, ctx.u, ctx.fixed, ctx.mode, *ctx.adjoint, *ctx.adjoint_x, ctx.low, ctx.high, ctx.target)
        return [list(v) for v in kept]

    def restored(self, before: list[list[Any]], record: Fields) -> None:
        """At the first record of a child only what its split says differs from what held at its parent."""
        ctx, n, j = self.tree.ctx, record.get("n"), record.get("j")
        for k, (old, new) in enumerate(zip(before, self.state(), strict=True)):
            if record["t"] == "targets" and k >= 8:
                continue
            free = n if k < 4 else j if k in (8, 9) else None
            assert all(a == b for i, (a, b) in enumerate(zip(old, new, strict=True)) if i != free), (k, old, new)
        for n, (slopes, mode) in enumerate(zip(ctx.slopes, ctx.mode, strict=True)):
            if slopes is not None and mode == 0:
                ctx.slopes[n] = None
                assert slopes == ctx.relaxation(n)
        if ctx.box[0] is not None:
            kept, ctx.box[0] = ctx.box[0], None
            assert kept == ctx.box_integers()

    def agrees(self, place: Place) -> None:
        """What the context says holds at all points of the node, and its adjoints have some choice of phases for flat neurons."""
        ctx, ask = self.tree.ctx, self.ask
        for p in place.points:
            for (z, _), low, high in zip(ask.net.neurons, ctx.l, ctx.u, strict=True):
                assert between(low, p.values[z], high)
            for x, low, high in zip(p.values, ctx.low, ctx.high, strict=False):
                assert between(low, x, high)
            for (z, _), mode in zip(ask.net.neurons, ctx.mode, strict=True):
                assert mode * p.values[z] >= 0
        known = [v for pair in (ctx.adjoint, ctx.adjoint_x) for v in pair]
        if ask.gradient is None or not any(v is not None for each in known for v in each):
            return
        for cell in place.cells:
            phases = cell.phases(ask.net)
            for slopes in itertools.islice(itertools.product(*phases), 32):
                if all(len(s) < 2 or m == 0 or d == (m > 0) for s, d, m in zip(phases, slopes, ctx.mode, strict=True)):
                    y, x = ask.adjoints(slopes)
                    for found, (lows, highs) in ((y, ctx.adjoint), (x, ctx.adjoint_x)):
                        for v, low, high in zip(found, lows, highs, strict=True):
                            assert between(low, v, high), (slopes, found, lows, highs)

    # Facts and leaves

    def one(self) -> Iterator[Fields]:
        """A bound or an adjoint, or a refresh."""
        kind = self.rng.choice(("refresh", "bound", "bound", "adj") if self.ask.gradient is not None else ("refresh", "bound"))
        count = len(self.ask.net.neurons) + self.ask.net.inputs
        yield from [{"t": "refresh"}] if kind == "refresh" else self.fact(kind, self.rng.randrange(count))

    def refresh(self) -> Iterator[Fields]:
        yield {"t": "refresh"}

    def many(self) -> Iterator[Fields]:
        """The bounds of all neurons, or all adjoints, in a random order."""
        kind = "bound" if self.ask.gradient is None else self.rng.choice(("bound", "adj", "adj"))
        count = len(self.ask.net.neurons) + self.ask.net.inputs
        for n in self.rng.sample(range(count), count):
            yield from self.fact(kind, n)

    def fact(self, kind: str, n: int) -> Iterator[Fields]:
        """A bound or an adjoint of neuron or input n, at its tightest."""
        rng, ctx, count = self.rng, self.tree.ctx, len(self.ask.net.neurons)
        record: Fields = {"t": kind, **({"n": n} if n < count else {"x": n - count})}
        for end, sign in rng.choice(((("hi", 1), ("lo", -1)), (("hi", 1), ("lo", -1)), (("hi", 1),), (("lo", -1),))):
            place = (ctx.program.neurons if kind == "bound" else ctx.program.results)[n] if n < count else (0, n - count)
            best: tuple[Fraction, Fields] | None = None
            for _ in range(3 if kind == "bound" else 2):
                with contextlib.suppress(Rejected):
                    if kind == "bound":
                        fields = self.choices({place: Fraction(sign)})
                        v = sum(ctx.program.sizes[: place[0]]) + place[1]
                        found = query(ctx, Form({v: Fraction(sign)}), Evidence.parse(ctx, fields), ZERO)[0]
                    else:
                        fields = self.slopes() if rng.random() < 0.5 else {}
                        found = adjoint_bound(ctx, place, sign, Evidence.parse(ctx, fields))
                    if best is None or found < best[0]:
                        best = found, fields
            if best is not None:
                record |= {end: str(sign * best[0]), f"e{end}": best[1]}
        if "lo" in record or "hi" in record:
            yield record

    def slopes(self) -> Fields:
        fields = {k: v for k, v in evidence(self.rng, self.tree.ctx).items() if k in "as"}
        if "a" in fields:
            fields["a"][1][1::2] = [min(v, 4) for v in fields["a"][1][1::2]]
        return fields

    def vector(self) -> Fields:
        """Perhaps the vector w of the dual norm, or of the slopes of absolute values."""
        count, rng = self.ask.net.inputs, self.rng
        return {"w": [2, [v for j in range(count) for v in (j, rng.randrange(-4, 5))]]} if rng.random() < 0.3 else {}

    def rows(self) -> list[tuple[str, int, dict[tuple[int, int], Fraction]]]:
        """The facts that may be used, each as the terms of ``h``."""
        ctx = self.tree.ctx
        places, neurons = ctx.program.places, ctx.program.neurons
        found = [("p", n, {neurons[n]: Fraction(f)}) for n, f in enumerate(ctx.fixed) if f]
        found += [("u", n, {neurons[n]: -ONE}) for n, u in enumerate(ctx.u) if u is not None]
        found += [("l", n, {neurons[n]: ONE}) for n, v in enumerate(ctx.l) if v is not None]
        forms = [("c", k, f) for k, f in enumerate(ctx.target[0].rows if ctx.target[0] else [])]
        forms += [("d", k, f) for k, f in enumerate(ctx.question.facts)]
        return found + [(key, k, {places[v]: w for v, w in f.terms.items()}) for key, k, f in forms]

    def choices(self, terms: dict[tuple[int, int], Fraction], keys: str = "pulcd") -> Fields:
        """Evidence for an upper bound of a form: random, or with multipliers that cancel the form at the inputs."""
        rng, ctx = self.rng, self.tree.ctx
        fields = evidence(rng, ctx)
        if not set("bo") & set(keys):
            fields = {k: v for k, v in fields.items() if k not in "bo"}
        rows = [row for row in self.rows() if row[0] in keys]
        if not rows or rng.random() < 0.25:
            return {k: v for k, v in fields.items() if k in (*keys, "a", "s", "b", "o", "young")}
        fields = {k: v for k, v in fields.items() if k in ("b", "o", "young") or (k in "as" and rng.random() < 0.3)}
        solved = self.cancelling(terms, rows)
        for key in {key for key, _ in solved}:
            flat = [v for (k, n), mu in sorted(solved.items()) if k == key for v in (n, str(mu))]
            fields[key] = [0, flat]
        return fields

    def cancelling(self, terms: Any, rows: list[Any]) -> dict[tuple[str, int], Fraction]:
        """Multipliers of a few rows: 1, or such that their sum and the form vanish in the free inputs."""
        rng, ctx = self.rng, self.tree.ctx
        free = self.tree.free
        if rng.random() < 0.3:  # a phase and ends at 0, whose pre-activations may vanish identically
            zero = [r for r in rows if r[0] in "ul" and not (ctx.u if r[0] == "u" else ctx.l)[r[1]]] or rows
            phases = [r for r in rows if r[0] == "p"] or zero
            return {(key, n): ONE for key, n, _ in (rng.choice(phases), *rng.sample(zero, min(len(zero), rng.choice((1, 1, 2)))))}

        def residual(each: Any) -> list[Fraction]:
            r, den = Sweep(ctx, Evidence()).run(each)
            return [Fraction(r[j], den) for j in free]

        for _ in range(4):
            with contextlib.suppress(Rejected):
                goal = [-v for v in residual(terms)] if terms else [ZERO] * len(free)
                chosen = rng.sample(rows, min(len(rows), len(free)))
                first: dict[tuple[str, int], Fraction] = {}
                if not any(goal):  # one row is given, the others cancel it
                    key, n, each = rng.choice(rows)
                    first, goal = {(key, n): ONE}, [-v for v in residual(each)]
                found = solve([residual(each) for _, _, each in chosen], goal)
                if found is not None and min(found, default=ZERO) >= 0:
                    for (key, n, _), mu in zip(chosen, found, strict=True):
                        first[key, n] = first.get((key, n), ZERO) + mu
                    return first
        return {}

    def probes(self, place: Place) -> list[Fields]:
        """Leaves that the judge accepts here, all of them compared with the truth."""
        ask, rng, ctx = self.ask, self.rng, self.tree.ctx
        q, accepted = ask.question, []
        objective: dict[tuple[int, int], Fraction] = {}
        if place.target is not None and ask.gradient is None:
            objective = {ctx.program.places[v]: w for v, w in q.targets[place.target].objective.terms.items()}
        kinds = ["empty", "jac", "mix", "thin", "thin"] if ask.gradient is not None else ["empty", "empty", "bound", "bound"]
        for kind in kinds + (["soft"] if q.logistic else []):
            for _ in range(self.tries if kind in ("empty", "thin") else 2):
                with contextlib.suppress(Rejected):
                    fields: Fields = {"k": kind}
                    if kind == "mix":
                        fields |= mixed(rng, ctx, self.tree.free)
                    elif kind in ("jac", "soft"):
                        fields |= self.slopes() | self.vector() | ({"up": self.choices({}, "pul")} if kind == "soft" else {})
                    else:
                        fields |= self.choices(objective if kind == "bound" else {}, "pul" if kind == "thin" else "pulcdbo")
                        fields |= self.vector() if kind != "thin" and q.cost is not None else {}
                    self.tree.outcome.value, before = None, self.tree.outcome.value
                    try:
                        self.tree._leaf(dict(fields))
                        value = self.tree.outcome.value
                    finally:
                        self.tree.outcome.value = before
                    self.accepted += 1
                    ask.holds(kind, value, place)
                    accepted.append(fields)
                    if kind in ("empty", "thin") and rng.random() < 0.5:
                        break
        return accepted
