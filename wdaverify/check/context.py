"""What is known at a node of a proof: box, certified bounds, fixed neurons, target; with an undo log.

Every change goes through `Context.put`, so that leaving a subtree restores exactly what held before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import Any, TypeAlias

from .num import bounded, r32_quotient
from .program import Form, Program, Stage

End: TypeAlias = "Fraction | None"
"""A finite bound, or None for an infinite one."""


@dataclass(frozen=True)
class Cost:
    """``kappa(x) = ||S (x - center)||_norm ^ order``, S the diagonal of the weights (None: ones); `norm` is l1, l2 or linf."""

    norm: str
    order: Fraction
    center: tuple[Fraction, ...]
    weights: tuple[Fraction, ...] | None = None


@dataclass
class Target:
    """What is maximised, rows ``h >= 0`` that may be assumed, and ends that narrow the box: {input: (low, high)}."""

    objective: Form = field(default_factory=Form)
    rows: list[Form] = field(default_factory=list)
    narrowed: dict[int, tuple[End, End]] = field(default_factory=dict)


@dataclass
class Question:
    """What is the same at all nodes: the program, the cost and its multiplier, the ball's row, the cutoff.

    `facts` are forms that the domain keeps at least 0 (multipliers d), `whole` inputs that are whole numbers there.
    `ball` is the number e of the row ``e - kappa >= 0``; `bits` that of the claim's ``round``; `homogeneous` drops biases.
    """

    program: Program
    low: list[End]
    high: list[End]
    targets: list[Target]
    cost: Cost | None = None
    multiplier: Fraction = Fraction(0)
    ball: Fraction | None = None
    cutoff: Fraction | None = None
    bits: int | None = None
    homogeneous: bool = False
    norm: str = ""  # of a Lipschitz constant
    gradient: Form | None = None  # its functional
    logistic: bool = False  # the constant is that of log(1 + e^g), g the functional
    stated: Fraction | None = None  # the claimed value, which a leaf mix takes as its own
    facts: Sequence[Form] = ()
    whole: frozenset[int] = frozenset()
    strict: bool = False  # every leaf must be empty


class Context:
    """Bounds in force at the current node."""

    def __init__(self, question: Question) -> None:
        program = question.program
        count = len(program.neurons)
        self.question, self.program = question, program
        self.low, self.high = list(question.low), list(question.high)
        self.l: list[End] = [None] * count
        self.u: list[End] = [None] * count
        self.fixed = [0] * count
        self.mode = [0] * count  # 1 on, -1 off, 0 undetermined
        self.slopes: list[Any] = [None] * count
        self.adjoint: tuple[list[End], list[End]] = ([None] * count, [None] * count)
        self.adjoint_x: tuple[list[End], list[End]] = ([None] * program.inputs, [None] * program.inputs)
        self.target: list[Target | None] = [None]
        self.box: list[Any] = [None]
        self.log: list[tuple[list[Any], int, Any, int]] = []

    def put(self, where: list[Any], index: int, value: Any, neuron: int = -1) -> None:
        """Set an entry; `neuron` is the one whose bounds or phase this is."""
        self.log.append((where, index, where[index], neuron))
        where[index] = value
        if neuron >= 0:
            self._renew(neuron)

    def undo(self, mark: int) -> None:
        """Take back all changes after the first `mark`."""
        while len(self.log) > mark:
            where, index, old, neuron = self.log.pop()
            where[index] = old
            if neuron >= 0:
                self.slopes[neuron] = None

    def _renew(self, n: int) -> None:
        """Determine neuron n where its bounds or its phase do: for the whole subtree, whatever is learned there.

        Where z_n is 0 all around, both phases are right, and adjoints differ by which one is taken: what was proved of them with
        the one must not meet the other. (A neuron that is fixed on has ``z_n > 0`` at generic points: none, if it was off.)
        """
        self.slopes[n] = None
        low, high, mode = self.l[n], self.u[n], self.mode[n]
        if self.fixed[n] > 0:
            mode = 1
        elif mode == 0:
            on, off = low is not None and low.numerator >= 0, high is not None and high.numerator <= 0
            mode = 1 if on else -1 if off or self.fixed[n] < 0 else 0
        if mode != self.mode[n]:
            self.put(self.mode, n, mode)

    def bound(self, n: int, low: End, high: End) -> None:
        """Intersect the bounds of neuron n."""
        if low is not None and (self.l[n] is None or low > self.l[n]):  # type: ignore[operator]
            self.put(self.l, n, low, n)
        if high is not None and (self.u[n] is None or high < self.u[n]):  # type: ignore[operator]
            self.put(self.u, n, high, n)

    def fix(self, n: int, sign: int) -> None:
        """Fix a neuron on (1) or off (-1), which bounds it by 0."""
        self.put(self.fixed, n, sign, n)
        zero = Fraction(0)
        self.bound(n, zero if sign > 0 else None, zero if sign < 0 else None)

    def narrow(self, j: int, low: End, high: End) -> None:
        """Intersect the box in coordinate j."""
        changed = False
        for ends, end, larger in ((self.low, low, True), (self.high, high, False)):
            old = ends[j]
            if end is not None and (old is None or (end > old if larger else end < old)):
                self.put(ends, j, end)
                changed = True
        if changed:
            self.put(self.box, 0, None)

    def empty(self) -> bool:
        """Whether some bounds contradict each other."""
        pairs = ((self.l, self.u), (self.low, self.high), self.adjoint, self.adjoint_x)
        return any(a is not None and b is not None and a > b for low, high in pairs for a, b in zip(low, high, strict=True))

    def relaxation(self, n: int) -> tuple[int, int, tuple[int, int] | None]:
        """Default slopes of an undetermined neuron: a, numerator of sigma (over 2^14), and h of the upper row."""
        found = self.slopes[n]
        if found is None:
            low, high = self.l[n], self.u[n]
            if low is not None and high is not None:
                # u / (u - l) = p / (p + m), and D14 of it
                p, m = high.numerator * low.denominator, -low.numerator * high.denominator
                a, sigma = int(p > m), (32768 * p + p + m) // (2 * (p + m))
            else:
                a = int(low is not None)
                sigma = 16384 * a
            found = (a, sigma, self.offset(n, sigma, 16384))
            self.slopes[n] = found
        return found  # type: ignore[no-any-return]

    def offset(self, n: int, s: int, q: int) -> tuple[int, int] | None:
        """``max(-sigma l, (1 - sigma) u)``, ``sigma = s / q``, ``0 * inf = 0``, as numerator and denominator; None if infinite.

        The two are ``-s l / q`` and ``(q - s) u / q``; l < 0 < u, so both are at least 0.
        """
        low, high = self.l[n], self.u[n]
        if (low is None and s > 0) or (high is None and s < q):
            return None
        first = (0, 1) if low is None else (-s * low.numerator, q * low.denominator)
        second = (0, 1) if high is None else ((q - s) * high.numerator, q * high.denominator)
        return first if first[0] * second[1] >= second[0] * first[1] else second

    def box_integers(self) -> tuple[list[int | None], list[int | None], list[int], int]:
        """Ends of the box and center of the cost, each times its weight, as integers over one denominator."""
        if self.box[0] is None:
            cost = self.question.cost
            low, high, center = list(self.low), list(self.high), list(cost.center) if cost else []
            for j, s in enumerate(cost.weights or () if cost else ()):
                for values in (low, high, center):
                    v = values[j]
                    values[j] = None if v is None else s * v  # type: ignore[assignment]
            q = lcm(*{v.denominator for v in (*low, *high, *center) if v is not None})
            bounded(q.bit_length(), "the denominator of the box")
            ends = [[None if v is None else v.numerator * (q // v.denominator) for v in e] for e in (low, high, center)]
            self.put(self.box, 0, (*ends, q))
        return self.box[0]  # type: ignore[no-any-return]

    def propagate(self) -> None:
        """Exact interval propagation from the box; the ends of every z are rounded outward by R32 and intersected."""
        blocks: list[tuple[list[int | None], list[int | None], int]] = [_scaled(self.low, self.high)]
        for stage in self.program.stages:
            if stage.kind == "A":
                blocks.append(_affine_range(stage, blocks, constants=not self.question.homogeneous))
                continue
            low_y: list[End] = []
            high_y: list[End] = []
            for n, (block, i) in enumerate(stage.sources, stage.first):
                low, high, q = blocks[block]
                a, b = low[i], high[i]
                self.bound(
                    n,
                    None if a is None else r32_quotient(a, q, up=False),
                    None if b is None else r32_quotient(b, q, up=True),
                )
                known = self.l[n], self.u[n]
                low_y.append(Fraction(0) if known[0] is None or self.mode[n] < 0 else max(Fraction(0), known[0]))
                high_y.append(None if known[1] is None else max(Fraction(0), known[1]))
            blocks.append(_scaled(low_y, high_y))


def _scaled(low: Sequence[End], high: Sequence[End]) -> tuple[list[int | None], list[int | None], int]:
    q = lcm(*{v.denominator for v in (*low, *high) if v is not None})
    bounded(q.bit_length(), "the denominator of a block")
    return (*([None if v is None else v.numerator * (q // v.denominator) for v in e] for e in (low, high)), q)  # type: ignore[return-value]


def _affine_range(stage: Stage, blocks: Sequence[Any], *, constants: bool) -> tuple[list[int | None], list[int | None], int]:
    """The exact range of each row over a box: ``mid +- radius`` where finite, with twice the ends as integers."""
    q = lcm(*{blocks[g.block][2] for g in stage.groups})
    middle = [2 * b * q for b in stage.bias] if constants else [0] * stage.size
    radius = [0] * stage.size
    open_low, open_high = [False] * stage.size, [False] * stage.size
    for g in stage.groups:
        low, high, d = blocks[g.block]
        ends = [(low[c], high[c]) for c in g.columns]
        infinite = [k for k, (a, b) in enumerate(ends) if a is None or b is None]
        for k in infinite:
            a, b = ends[k]
            for i, row in zip(g.rows, g.weights, strict=True):
                open_low[i] |= (row[k] > 0 and a is None) or (row[k] < 0 and b is None)
                open_high[i] |= (row[k] > 0 and b is None) or (row[k] < 0 and a is None)
            # A half-infinite interval counts with its finite end on the side where that end is used.
            ends[k] = (a if a is not None else b or 0, b if b is not None else a or 0)
        scale = q // d
        mid = [(a + b) * scale for a, b in ends]
        rad = [(b - a) * scale for a, b in ends]
        for total, view, part in ((middle, "column", mid), (radius, "column size", rad)):
            if any(part):
                for i, v in zip(g.rows, g.combine(view, part), strict=True):
                    total[i] += v
    low_z = [None if o else m - r for o, m, r in zip(open_low, middle, radius, strict=True)]
    high_z = [None if o else m + r for o, m, r in zip(open_high, middle, radius, strict=True)]
    return low_z, high_z, 2 * q * stage.denominator
