"""A proof stream: records in pre-order, checked one by one with an explicit stack and an undo log.

The children of a split cover their parent, every opened child must be closed by a leaf, and the stream ends when nothing is
open: so the leaves cover the claim. The value of a stream is the largest value of its ``bound``, ``jac`` and ``mix`` leaves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from .adjoint import adjoint_bound, adjoint_range, gradient_norm, tighten
from .context import Context, Question
from .engine import Evidence, Sweep, query
from .mixing import mixing
from .num import Limits, Rejected, exp, number, shown, whole
from .program import Form

Action = Callable[[], None]


@dataclass
class Outcome:
    """What a stream proves: the largest leaf value (None: no leaf has one), and its size."""

    value: Fraction | None = None
    leaves: int = 0
    records: int = 0


@dataclass
class Tree:
    """The walk over a stream."""

    question: Question
    deadline: float | None = None
    part: Callable[[dict[str, Any]], Iterator[Any]] | None = None
    outcome: Outcome = field(default_factory=Outcome)

    def run(self, records: Iterator[Any]) -> Outcome:
        """Check all records of a stream; the footer is the reader's business."""
        ctx = Context(self.question)
        ctx.propagate()
        self.ctx, self.targeted = ctx, False
        if len(self.question.targets) == 1:
            self._aim(0)
        self._subtree(records, 0, inside_part=False)
        return self.outcome

    def _subtree(self, records: Iterator[Any], depth: int, *, inside_part: bool) -> None:
        """Check the records of the current node and all nodes below it."""
        ctx, seen = self.ctx, 0
        pending: list[tuple[int, int, bool, Action | None]] = [(len(ctx.log), depth, self.targeted, None)]
        for record in records:
            seen += 1
            self.outcome.records += 1
            if self.deadline is not None and time.monotonic() > self.deadline:
                raise Rejected("limit: time")
            if not pending:
                raise Rejected(f"record {seen}: nothing is open any more")
            try:
                children = self._record(record, inside_part=inside_part)
            except Rejected as error:
                raise Rejected(f"record {seen}: {error}") from None
            if children is None:
                continue
            # The current node is closed or split; what is pending next becomes current.
            _, depth, targeted, _ = pending.pop()
            if len(children) and depth >= Limits.depth:
                raise Rejected("limit: the tree is too deep")
            targeted = targeted or self.targeted
            mark = len(ctx.log)
            pending += [(mark, depth + 1, targeted, child) for child in reversed(children)]
            self._next(pending)
        if pending:
            raise Rejected(f"the stream ends with {len(pending)} open nodes")

    def _next(self, pending: list[tuple[int, int, bool, Action | None]]) -> None:
        if pending:
            mark, _, self.targeted, action = pending[-1]
            self.ctx.undo(mark)
            if action is not None:
                action()

    def _record(self, record: Any, *, inside_part: bool) -> list[Action] | None:
        """Check a record: None if the node stays open, else the children that replace it."""
        if type(record) is not dict or type(record.get("t")) is not str:
            raise Rejected("is no record")
        fields = dict(record)
        kind = fields.pop("t")
        if kind == "leaf":
            self._leaf(fields)
            self.outcome.leaves += 1
            return []
        if kind in ("bound", "adj"):
            self._bound(kind, fields)
            return None
        if kind == "part":
            if inside_part or self.part is None:
                raise Rejected("a part inside a part, or where none can be")
            self._subtree(self.part(fields), 0, inside_part=True)
            return []
        if kind == "refresh" and not fields:
            self.ctx.propagate()
            return None
        if kind == "targets" and not fields:
            return self._targets()
        if kind in ("split", "input", "whole"):
            if len(self.question.targets) != 1 and not self.targeted:
                raise Rejected("a split before the targets")
            return self._split(kind, fields)
        raise Rejected(f"unknown record {shown(kind)}, or fields that it does not have")

    def _aim(self, k: int) -> None:
        """Enter the k-th target."""
        target = self.question.targets[k]
        self.ctx.put(self.ctx.target, 0, target)
        for j, (low, high) in target.narrowed.items():
            self.ctx.narrow(j, low, high)

    def _targets(self) -> list[Action]:
        if self.targeted:
            raise Rejected("targets twice")
        self.targeted = True
        return [lambda k=k: self._aim(k) for k in range(len(self.question.targets))]  # type: ignore[misc]

    def _split(self, kind: str, fields: dict[str, Any]) -> list[Action]:
        ctx = self.ctx
        if kind == "split" and set(fields) == {"n"}:
            n = whole(fields["n"], "neuron", len(ctx.fixed))
            if ctx.fixed[n]:
                raise Rejected(f"neuron {n} is fixed already")
            return [lambda: ctx.fix(n, 1), lambda: ctx.fix(n, -1)]
        if kind == "input" and set(fields) == {"j", "at"}:
            j, at = whole(fields["j"], "input", len(ctx.low)), number(fields["at"], "at")
            low, high = ctx.low[j], ctx.high[j]
            if (low is not None and at <= low) or (high is not None and at >= high):
                raise Rejected(f"input {j} is not split inside its range")
            return [lambda: ctx.narrow(j, None, at), lambda: ctx.narrow(j, at, None)]
        if kind == "whole" and set(fields) == {"j", "at"}:
            # At points of the domain x_j is a whole number: at most k or at least k + 1.
            j, k = whole(fields["j"], "input", len(ctx.low)), number(fields["at"], "at")
            low, high = ctx.low[j], ctx.high[j]
            if j not in self.question.whole or k.denominator != 1:
                raise Rejected(f"input {j} is no whole number of the domain, or is not split at one")
            # A side beyond the range holds no point of the node, and is no child.
            below = [] if low is not None and k < low else [lambda: ctx.narrow(j, None, k)]
            return below + ([] if high is not None and k + 1 > high else [lambda: ctx.narrow(j, k + 1, None)])
        raise Rejected(f"{kind} has the wrong fields")

    def _bound(self, kind: str, fields: dict[str, Any]) -> None:
        """Certified bounds of one neuron, input, or adjoint: both ends are proved before either is used."""
        ctx = self.ctx
        if set(fields) - {"n", "x", "lo", "hi", "elo", "ehi"} or ("n" in fields) == ("x" in fields):
            raise Rejected(f"{kind} has the wrong fields")
        if kind == "adj" and self.question.gradient is None:
            raise Rejected("adj outside a Lipschitz stream")
        if "n" in fields:
            index = whole(fields["n"], "neuron", len(ctx.fixed))
            place = ctx.program.neurons[index] if kind == "bound" else ctx.program.results[index]
        else:
            index = whole(fields["x"], "input", ctx.program.inputs)
            place = (0, index)
        ends: dict[str, Fraction | None] = {"lo": None, "hi": None}
        for end, evidence, sign in (("lo", "elo", -1), ("hi", "ehi", 1)):
            if end not in fields:
                if evidence in fields:
                    raise Rejected(f"{evidence} without {end}")
                continue
            stated = number(fields[end], end)
            choices = Evidence.parse(ctx, _object(fields.get(evidence, {})))
            if kind == "adj":
                found = adjoint_bound(ctx, place, sign, choices)
            else:
                found, _, _ = query(ctx, self._variable(place, sign), choices, Fraction(0))
            if found > sign * stated:
                raise Rejected(f"{end} = {shown(fields[end])} is not proved: {float_text(sign * found)}")
            ends[end] = stated
        if ends["lo"] is None and ends["hi"] is None:
            raise Rejected(f"{kind} states nothing")
        if kind == "adj":
            known = ctx.adjoint if "n" in fields else ctx.adjoint_x
            tighten(ctx, known, index, *adjoint_range(ctx, place))
            tighten(ctx, known, index, ends["lo"], ends["hi"])
        elif "n" in fields:
            ctx.bound(index, ends["lo"], ends["hi"])
        else:
            ctx.narrow(index, ends["lo"], ends["hi"])

    def _variable(self, place: tuple[int, int], sign: int) -> Form:
        block, i = place
        return Form({sum(self.ctx.program.sizes[:block]) + i: Fraction(sign)})

    def _leaf(self, fields: dict[str, Any]) -> None:
        ctx, q = self.ctx, self.question
        kind = fields.pop("k", None)
        target = ctx.target[0]
        if target is None and kind in ("bound", "jac", "mix"):
            raise Rejected("a leaf with a value before the targets")
        lipschitz = q.gradient is not None
        above = fields.pop("up", None) if kind == "soft" else None
        weights: dict[str, Any] = {key: fields.pop(key) for key in ("lam", "mu") if kind == "mix" and key in fields}
        choices = Evidence.parse(ctx, fields)
        if kind == "bound" and not lipschitz and not q.strict and target is not None:
            value, _, _ = query(ctx, target.objective, choices, q.multiplier)
            self._value(value)
        elif kind == "empty":
            # Bounds that contradict each other need no multipliers; with some, those are tried first.
            value = query(ctx, Form(), choices, Fraction(0))[0] if fields else Fraction(0)
            if value >= 0 and not ctx.empty():
                raise Rejected(f"leaf does not close: {float_text(value)} >= 0")
        elif kind == "jac" and lipschitz:
            self._value(gradient_norm(ctx, choices, self.free))
        elif kind == "soft" and q.logistic:
            share = self._share(Evidence.parse(ctx, _object(above)))
            self._value(gradient_norm(ctx, choices, self.free) * (share**2 if q.norm == "l2" else share))
        elif kind == "mix" and lipschitz:
            self._value(mixing(ctx, weights, choices.s, self.free))
        elif kind == "thin" and lipschitz:
            self._thin(choices)
        else:
            raise Rejected(f"leaf {shown(kind)} in a stream of this kind")

    def _share(self, choices: Evidence) -> Fraction:
        """At least ``p = e^g / (1 + e^g)`` at all points of the node: the gradient of ``log(1 + e^g)`` is p times that of g.

        Where ``g <= u``, ``p <= 1 - 1 / (1 + e^u)``.
        """
        form = self.question.gradient
        assert form is not None
        most, _, _ = query(self.ctx, form, choices, Fraction(0))
        far = Fraction(4096)
        return Fraction(1) if most > far else 1 - 1 / (1 + exp(max(most, -far))[1])

    def _value(self, value: Fraction) -> None:
        best = self.outcome.value
        self.outcome.value = value if best is None else max(best, value)

    @cached_property
    def free(self) -> list[int]:
        """The coordinates that are not fixed in the domain."""
        return [j for j, (a, b) in enumerate(zip(self.question.low, self.question.high, strict=True)) if a is None or a != b]

    def _thin(self, choices: Evidence) -> None:
        """No generic point belongs to the node: a bound of 0 by facts one of which holds strictly at generic points."""
        ctx = self.ctx
        if choices.b or choices.o or choices.c or choices.d:
            raise Rejected("thin takes only the multipliers p, u and l")
        value, _, r = query(ctx, Form(), choices, Fraction(0))
        if value > 0:
            raise Rejected(f"leaf does not close: {float_text(value)} > 0")
        free = self.free
        strict = value < 0 or any(r[j] for j in free)
        for n, mu in choices.p.items():
            if strict or mu == 0:
                continue
            strict = ctx.fixed[n] > 0 or self._slanted(n, free)
        if not strict:
            raise Rejected("thin without a strict ingredient")

    def _slanted(self, n: int, free: list[int]) -> bool:
        """Whether z_n is exactly affine in this context, with a gradient that is not zero in the free coordinates."""
        ctx = self.ctx
        sweep = query_sweep(ctx, ctx.program.neurons[n])
        return sweep is not None and any(sweep[j] for j in free)


def query_sweep(ctx: Context, place: tuple[int, int]) -> list[int] | None:
    """The gradient of a variable, up to a factor, if all neurons that it depends on are determined.

    It must be exact: rounded coefficients bound the variable, but may leave a gradient where it vanishes.
    """
    sweep = Sweep(ctx, Evidence())
    r, _ = sweep.run({place: Fraction(1)}, exact=True)
    return r if all(ctx.mode[m] for m in sweep.met) else None


def _object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise Rejected("evidence is no object")
    return value


def float_text(value: Fraction) -> str:
    """A rational in a message, about."""
    try:
        return f"{float(value):.6g}"
    except OverflowError:
        return "a number beyond float64"
