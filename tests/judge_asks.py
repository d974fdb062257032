"""A question for the judge, and what is true about it at the nodes of a proof tree."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from tests.judge_cells import ONE, ZERO, Affine, Cell, Net, Point, Row, Vector, at, cells
from wdaverify.check.context import Cost, Question, Target
from wdaverify.check.program import Form


@dataclass
class Place:
    """A node: its target if it is chosen, the points that need a proof there, and the cells of generic points."""

    target: int | None
    points: list[Point]
    cells: list[Cell]

    def where(self, point: Callable[[Point], bool], cell: Callable[[Point], bool]) -> Place:
        return replace(self, points=[p for p in self.points if point(p)], cells=[c for c in self.cells if cell(c.inside)])


@dataclass
class Ask:
    """A question in two forms: for the judge, and as numbers that its answer is compared with."""

    net: Net
    kind: str
    ends: list[tuple[Fraction, Fraction]]
    grid: list[Fraction]
    targets: list[tuple[Row, list[Row]]]  # objective and rows over the outputs
    gradient: dict[int, Fraction] | None = None
    cost: Cost | None = None
    multiplier: Fraction = ZERO
    ball: Fraction | None = None
    cutoff: Fraction | None = None
    facts: list[Row] = field(default_factory=list)  # over the inputs
    whole: frozenset[int] = frozenset()
    options: dict[str, Any] = field(default_factory=dict)
    infinite: dict[tuple[int, bool], bool] = field(default_factory=dict)  # by coordinate and whether it is the upper end
    cells: list[Cell] = field(default_factory=list)
    root: list[Point] = field(default_factory=list)

    def ready(self) -> Ask:
        """Cut the cells, and make the question."""
        self.cells = cells(self.net, self.ends, [self._lines, self._rows, self._curved])
        points = {p.values: p for c in self.cells for p in (*map(c.point, c.corners), c.inside)}
        self.root = [p for p in points.values() if self._needed(p)]
        program = self.net.program()

        def form(row: Row) -> Form:
            total = program.objective(row[0])
            return Form(total.terms, total.constant + row[1])

        low, high = [], []
        for j, (a, b) in enumerate(self.ends):
            if self.ball is not None and self.cost is not None and self.kind != "slope":
                reach = self.options["radius"] / (self.cost.weights[j] if self.cost.weights else 1)
                a, b = max(a, self.cost.center[j] - reach), min(b, self.cost.center[j] + reach)
            low.append(None if self.infinite.get((j, False)) else Fraction(math.ceil(a)) if j in self.whole else a)
            high.append(None if self.infinite.get((j, True)) else Fraction(math.floor(b)) if j in self.whole else b)
        gradient = None if self.gradient is None else form((self.gradient, ZERO))
        targets = [Target(form(objective), [form(r) for r in rows]) for objective, rows in self.targets]
        more = {k: v for k, v in self.options.items() if k != "radius"}
        shared = {"cost": self.cost, "multiplier": self.multiplier, "ball": self.ball, "cutoff": self.cutoff, "whole": self.whole}
        facts = [Form(dict(r), b) for r, b in self.facts]
        self.question = Question(program, low, high, targets, gradient=gradient, facts=facts, **shared, **more)
        return self

    # Points and lines

    def _lines(self, cell: Cell) -> Iterator[Affine]:
        for j, (slope, constant) in enumerate(cell.forms[: self.net.inputs]):
            stops = {*self.grid, *([self.cost.center[j]] if self.cost else []), *(range(-4, 5) if j in self.whole else ())}
            yield from ((slope, constant - t) for t in sorted(stops))

    def _rows(self, cell: Cell) -> Iterator[Affine]:
        yield from (_form(r, cell.forms) for r in self.facts)
        yield from (_form(r, cell.outputs) for _, rows in self.targets for r in rows)
        if self.cost is not None and self.cost.norm == "linf" and self.net.inputs > 1:
            steps = self._steps(cell)
            yield from (_sum(steps[0], steps[1], Fraction(sign)) for sign in (1, -1))

    def _steps(self, cell: Cell) -> list[Affine]:
        assert self.cost is not None
        weights = self.cost.weights or (ONE,) * self.net.inputs
        pairs = zip(cell.forms, self.cost.center, weights, strict=False)
        return [(tuple(s * v for v in slope), s * (constant - c)) for (slope, constant), c, s in pairs]

    def _curved(self, cell: Cell) -> Iterator[Affine]:
        """Where the ball ends and the cutoff is met, if the cost is affine on the cell."""
        if self.cost is None or self.cost.norm == "l2" or self.cost.order != 1:
            return
        sizes = [f if at(f, cell.middle) > 0 else _scaled(f, -ONE) for f in self._steps(cell)]
        cost = max(sizes, key=lambda f: at(f, cell.middle))
        if self.cost.norm == "l1":
            cost = sizes[0]
            for f in sizes[1:]:
                cost = _sum(cost, f, ONE)
        if self.ball is not None:
            yield _scaled(cost, ONE)[0], cost[1] - self.ball
        if self.cutoff is not None:
            for objective, _ in self.targets:
                slope, constant = _sum(_form(objective, cell.outputs), cost, -self.multiplier)
                yield slope, constant - self.cutoff

    def _beyond(self, gap: Fraction, p: Point, multiplier: Fraction) -> int:
        """The sign of ``gap - multiplier * cost``, exactly: fourth powers of costs of order k / 2 are rational."""
        if self.cost is None:
            return (gap > 0) - (gap < 0)
        weights = self.cost.weights or (ONE,) * self.net.inputs
        steps = [s * abs(x - c) for s, x, c in zip(weights, p.values, self.cost.center, strict=False)]
        square = {"l1": sum(steps) ** 2, "l2": sum(s * s for s in steps), "linf": max(steps) ** 2}[self.cost.norm]
        paid = multiplier**4 * Fraction(square) ** int(2 * self.cost.order)
        return -int(paid > 0 or gap < 0) if gap <= 0 else (gap**4 > paid) - (gap**4 < paid)

    def _needed(self, p: Point) -> bool:
        x = p.values[: self.net.inputs]
        return (
            all(x[j].denominator == 1 for j in self.whole)
            and all(_value(r, x) >= 0 for r in self.facts)
            and (self.ball is None or self._beyond(self.ball, p, ONE) >= 0)
        )

    def aim(self, place: Place, k: int) -> Place:
        """The node at which target k is chosen."""
        objective, rows = self.targets[k]

        def needed(p: Point) -> bool:
            if self.cutoff is not None and self._beyond(_value(objective, p.outputs) - self.cutoff, p, self.multiplier) < 0:
                return False
            return all(_value(r, p.outputs) >= 0 for r in rows)

        return Place(k, [p for p in place.points if needed(p)], place.cells)

    def adjoints(self, slopes: tuple[Fraction, ...]) -> tuple[Vector, Vector]:
        assert self.gradient is not None
        return self.net.adjoints(self.gradient, slopes)

    # What leaves may say

    def holds(self, kind: str, value: Fraction | None, place: Place) -> None:
        """Raise AssertionError unless a leaf of this kind and value is true at a node."""
        if self.gradient is not None:
            worst = max((self._steepness(c, kind) for c in place.cells), default=None)
            assert worst is None or (value is not None and worst <= value), (kind, worst, value)
        elif kind == "empty" or value is None:
            assert not place.points, (kind, place.points[0])
        else:
            assert place.target is not None
            objective, _ = self.targets[place.target]
            for p in place.points:
                assert self._beyond(_value(objective, p.outputs) - value, p, self.multiplier) <= 0, (p, value)

    def _steepness(self, cell: Cell, kind: str) -> Fraction:
        """The dual norm of the gradient (l2: its square), of the logistic loss a little less than its supremum on the cell."""
        assert self.gradient is not None
        g = list(map(abs, cell.gradient(self.gradient)))
        norm = self.options["norm"]
        size = {"l1": max(g, default=ZERO), "l2": sum((v * v for v in g), ZERO), "linf": sum(g, ZERO)}[norm]
        if kind == "soft" or (kind == "whole" and self.options.get("logistic")):
            top = max(_value((self.gradient, ZERO), cell.point(x).outputs) for x in cell.corners)
            share = Fraction(1 / (1 + math.exp(-float(max(-500, min(500, top))))) * (1 - 1e-12))
            size *= share**2 if norm == "l2" else share
        return size


def _value(row: Row, values: Any) -> Fraction:
    return sum((w * values[k] for k, w in row[0].items()), row[1])


def _scaled(f: Affine, s: Fraction) -> Affine:
    return tuple(s * v for v in f[0]), s * f[1]


def _sum(f: Affine, g: Affine, s: Fraction) -> Affine:
    return tuple(a + s * b for a, b in zip(f[0], g[0], strict=True)), f[1] + s * g[1]


def _form(row: Row, forms: list[Affine]) -> Affine:
    total: Affine = tuple(ZERO for _ in forms[0][0]), row[1]
    for k, w in row[0].items():
        total = _sum(total, forms[k], w)
    return total
