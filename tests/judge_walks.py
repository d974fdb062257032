"""Random proofs: trees whose splits, slopes, multipliers and bounds are drawn at random, each stating the most that holds."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from wdaverify.check.adjoint import adjoint_bound
from wdaverify.check.context import Context
from wdaverify.check.engine import Evidence, query
from wdaverify.check.mixing import zonotope
from wdaverify.check.num import Rejected
from wdaverify.check.program import Element, Form, Program
from wdaverify.check.tree import Tree


def random_program(rng: random.Random, inputs: int, *, skips: bool) -> Program:
    """Two or three layers of two or three neurons with few different weights: kinks coincide, neurons vanish."""
    program = Program(inputs)
    seen: list[Element] = list(range(inputs))
    last = list(seen)
    for _ in range(rng.choice((1, 2, 2, 3))):
        pool = seen if skips else last
        z = program.affine([_form(rng, pool) for _ in range(rng.choice((2, 3)))])
        last = program.relu(z)
        seen += [*last, *z]
    program.outputs = program.affine([_form(rng, seen if skips else last) for _ in range(rng.choice((1, 2, 3)))])
    return program


def _form(rng: random.Random, elements: list[Element]) -> Form:
    weights = [Fraction(rng.choice((-2, -1, -1, 0, 1, 1, 2, 3)), rng.choice((1, 1, 2, 3))) for _ in elements]
    return Form.of(elements, weights, Fraction(rng.choice((0, 0, 0, 1, -1, -2)), rng.choice((1, 2))))


def evidence(rng: random.Random, ctx: Context) -> dict[str, Any]:
    """Random choices of the kinds that are available."""
    chosen: dict[str, Any] = {}
    count, q = len(ctx.fixed), ctx.question
    pools = {
        "p": [n for n in range(count) if ctx.fixed[n]],
        "u": [n for n in range(count) if ctx.u[n] is not None],
        "l": [n for n in range(count) if ctx.l[n] is not None],
        "a": list(range(count)),
        "s": list(range(count)),
        "c": list(range(len(ctx.target[0].rows))) if ctx.target[0] else [],
    }
    for key, pool in pools.items():
        ids = [n for n in pool if rng.random() < 0.4]
        if ids and rng.random() < 0.6:
            top = 4 if key == "s" else 8
            chosen[key] = [2, [v for n in ids for v in (n, rng.randrange(top + 1))]]
    if q.ball is not None and rng.random() < 0.5:
        chosen["b"] = f"{rng.randrange(5)}/{rng.choice((1, 2, 3))}"
    if q.cutoff is not None and ctx.target[0] is not None and rng.random() < 0.5:
        chosen["o"] = f"{rng.randrange(4)}/{rng.choice((1, 2))}"
    if q.cost is not None and q.cost.order not in (1, 2):
        a = Fraction(rng.randrange(1, 9), 4)  # tau^p >= a tau - b for b = (p-1) (a/p)^(p/(p-1)), here p = 3/2 or 3
        chosen["young"] = [str(a), str(a**3 * 4 / 27 if q.cost.order == Fraction(3, 2) else a * a)]
    return chosen


def mixed(rng: random.Random, ctx: Context, free: list[int]) -> dict[str, Any]:
    """Fields of a leaf mix with weights near the sizes of columns and rows, and random slopes."""
    slopes = {n: Fraction(rng.randrange(5), 4) for n in range(len(ctx.fixed)) if rng.random() < 0.3}
    numerators, den = zonotope(ctx, slopes, free)
    columns = [[Fraction(v, den) for v in c] for c in numerators]
    fields: dict[str, Any] = {}
    if slopes:
        fields["s"] = [2, [v for n, q in slopes.items() for v in (n, int(4 * q))]]
    if ctx.question.norm != "l1":
        fields["mu"] = [4, [min(1 + int(64 * sum(map(abs, c))), 1 << 60) for c in columns]]
    if ctx.question.norm == "linf":
        fields["lam"] = [4, [min(1 + int(64 * sum(abs(c[j]) for c in columns)), 1 << 60) for j in range(len(free))]]
    return fields


class Walk:
    """A stream that is made while it is checked: the next record is drawn from what the tree knows now."""

    def __init__(self, tree: Tree, rng: random.Random, size: int = 10) -> None:
        self.tree, self.rng, self.left = tree, rng, size
        self.open, self.mixed = 1, 0
        self.targeted = len(tree.question.targets) == 1

    def records(self) -> Iterator[dict[str, Any]]:
        """Records until nothing is open."""
        while self.open:
            self.left -= 1
            record = self._next()
            if record["t"] in ("split", "input"):
                self.open += 1
            elif record["t"] == "leaf":
                self.open -= 1
            elif record["t"] == "targets":
                self.open += len(self.tree.question.targets) - 1
                self.targeted = True
            yield record

    def _next(self) -> dict[str, Any]:
        rng, ctx = self.rng, self.tree.ctx
        for _ in range(20):
            kind = rng.choice(("bound", "bound", "adj", "refresh", "split", "split", "input", "leaf"))
            if self.left < 0:
                kind = "leaf"
            if kind == "leaf" and not self.targeted:
                return {"t": "targets"}
            with contextlib.suppress(Rejected):
                found = getattr(self, f"_{kind}")(ctx)
                if found is not None:
                    return found
        return self._finish(ctx)

    def _refresh(self, ctx: Context) -> dict[str, Any]:
        return {"t": "refresh"}

    def _split(self, ctx: Context) -> dict[str, Any] | None:
        free = [n for n, f in enumerate(ctx.fixed) if not f]
        if not self.targeted:
            return {"t": "targets"}
        return {"t": "split", "n": self.rng.choice(free)} if free else None

    def _input(self, ctx: Context) -> dict[str, Any] | None:
        if not self.targeted:
            return {"t": "targets"}
        j = self.rng.randrange(len(ctx.low))
        low, high = ctx.low[j], ctx.high[j]
        at = (
            Fraction(self.rng.randrange(-8, 9), 4)
            if low is None or high is None
            else low + (high - low) / self.rng.choice((2, 3))
        )
        fits = (low is None or low < at) and (high is None or at < high)
        return {"t": "input", "j": j, "at": str(at)} if fits else None

    def _bound(self, ctx: Context) -> dict[str, Any]:
        n = self.rng.randrange(len(ctx.fixed) + len(ctx.low))
        place = ctx.program.neurons[n] if n < len(ctx.fixed) else (0, n - len(ctx.fixed))
        variable = sum(ctx.program.sizes[: place[0]]) + place[1]
        end, sign = self.rng.choice((("hi", 1), ("lo", -1)))
        fields = evidence(self.rng, ctx)
        value, _, _ = query(ctx, Form({variable: Fraction(sign)}), Evidence.parse(ctx, fields), Fraction(0))
        name = {"n": n} if n < len(ctx.fixed) else {"x": n - len(ctx.fixed)}
        return {"t": "bound", **name, end: str(sign * value), f"e{end}": fields}

    def _adj(self, ctx: Context) -> dict[str, Any] | None:
        if ctx.question.gradient is None:
            return None
        n = self.rng.randrange(len(ctx.fixed) + len(ctx.low))
        place = ctx.program.results[n] if n < len(ctx.fixed) else (0, n - len(ctx.fixed))
        end, sign = self.rng.choice((("hi", 1), ("lo", -1)))
        fields = {k: v for k, v in evidence(self.rng, ctx).items() if k in "as"}
        if "a" in fields:
            fields["a"][1][1::2] = [min(v, 4) for v in fields["a"][1][1::2]]
        value = adjoint_bound(ctx, place, sign, Evidence.parse(ctx, fields))
        name = {"n": n} if n < len(ctx.fixed) else {"x": n - len(ctx.fixed)}
        return {"t": "adj", **name, end: str(sign * value), f"e{end}": fields}

    def _leaf(self, ctx: Context) -> dict[str, Any] | None:
        """A leaf that holds: thin or empty where the draw proves it, else one with a value."""
        fields = evidence(self.rng, ctx)
        kinds = ["empty", "empty"] + (["thin", "thin"] if ctx.question.gradient is not None else [])
        for kind in kinds:
            keep = "pulas" if kind == "thin" else "pulcasbo"
            chosen = {k: v for k, v in fields.items() if k in keep}
            if kind == "thin" and self.rng.random() < 0.7:  # the multipliers that close a cell whose interior is empty
                fixed = [n for n, f in enumerate(ctx.fixed) if f]
                chosen["p"] = [0, [v for n in fixed for v in (n, self.rng.randrange(3))]]
            if self._closes({"k": kind, **chosen}):
                return {"t": "leaf", "k": kind, **chosen}
            fields = evidence(self.rng, ctx)
        return self._finish(ctx)

    def _closes(self, fields: dict[str, Any]) -> bool:
        with contextlib.suppress(Rejected):
            self.tree._leaf(dict(fields))
            return True
        return False

    def _finish(self, ctx: Context) -> dict[str, Any]:
        if ctx.question.gradient is not None:
            mix = {"k": "mix", **mixed(self.rng, ctx, self.tree.free)}
            if self.rng.random() < 0.7 and self._closes(mix):
                self.mixed += 1
                return {"t": "leaf", **mix}
            return {"t": "leaf", "k": "jac"}
        before = self.tree.outcome.value
        for _ in range(5):
            fields = evidence(self.rng, ctx)
            if self._closes({"k": "bound", **fields}):
                self.tree.outcome.value = before
                return {"t": "leaf", "k": "bound", **fields}
        raise Rejected("this walk ends in an unbounded leaf")
