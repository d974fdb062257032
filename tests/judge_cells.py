"""The truth at every node of a proof tree: cells of small networks in rationals, their corners, gradients and adjoints.

Nothing of the judge or the library is used but the constructor of the program that is judged. Coordinates whose ends coincide
are constants: cells are intervals or polygons in the one or two that are free.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from wdaverify.check.program import Element, Form, Program

Vector = tuple[Fraction, ...]
Affine = tuple[Vector, Fraction]
"""Gradient in the free coordinates, and constant."""
Row = tuple[dict[int, Fraction], Fraction]
"""Weights of earlier values, and bias."""
ZERO, ONE = Fraction(0), Fraction(1)


@dataclass
class Net:
    """Layers of neurons; values are numbered: inputs, then for each layer all pre-activations, then what ReLU makes of them."""

    inputs: int
    layers: list[list[Row]]
    outputs: list[Row]
    shared: bool = False

    def program(self) -> Program:
        """The program that the judge gets."""
        program = Program(self.inputs)
        seen: list[int] = list(range(self.inputs))
        for layer in self.layers:
            z = self._elements(program, seen, layer)
            if self.shared and not all(isinstance(v, int) for v in z):  # equal variables cancel: a constant is no neuron
                return Net(self.inputs, self.layers, self.outputs).program()
            seen += [v for v in (*z, *program.relu(z)) if isinstance(v, int)]
        program.outputs = self._elements(program, seen, self.outputs)
        return program

    def _elements(self, program: Program, seen: list[int], rows: list[Row]) -> list[Element]:
        """An A stage of rows; perhaps equal rows are one variable, and rows that are a variable need none."""
        keys = [(*sorted(row.items()), b) if self.shared else i for i, (row, b) in enumerate(rows)]
        fresh = {k: r for k, r in zip(keys, rows, strict=True) if not (self.shared and _same(r))}
        found = program.affine([Form.of((seen[v] for v in row), row.values(), b) for row, b in fresh.values()])
        elements = dict(zip(fresh, found, strict=True))
        return [elements[k] if k in elements else seen[next(iter(r[0]))] for k, r in zip(keys, rows, strict=True)]

    @cached_property
    def neurons(self) -> list[tuple[int, int]]:
        """The values z and y of each neuron."""
        found, first = [], self.inputs
        for layer in self.layers:
            found += [(first + i, first + len(layer) + i) for i in range(len(layer))]
            first += 2 * len(layer)
        return found

    def adjoints(self, objective: dict[int, Fraction], slopes: Sequence[Fraction]) -> tuple[Vector, Vector]:
        """Adjoints of all y and of all inputs, by the chain rule with one slope per neuron."""
        g = [ZERO] * (self.inputs + 2 * len(self.neurons))
        for k, c in objective.items():
            for v, w in self.outputs[k][0].items():
                g[v] += c * w
        rows = [row for layer in self.layers for row, _ in layer]
        for n in reversed(range(len(rows))):
            pull = slopes[n] * g[self.neurons[n][1]] + g[self.neurons[n][0]]
            for v, w in rows[n].items():
                g[v] += pull * w
        return tuple(g[y] for _, y in self.neurons), tuple(g[: self.inputs])


def _same(row: Row) -> bool:
    return row[1] == 0 and list(row[0].values()) == [1]


def at(form: Affine, x: Sequence[Fraction]) -> Fraction:
    return sum((a * v for a, v in zip(form[0], x, strict=True)), form[1])


def combine(row: Row, forms: Sequence[Affine]) -> Affine:
    dimension = len(forms[0][0])
    slope = tuple(sum((w * forms[v][0][j] for v, w in row[0].items()), ZERO) for j in range(dimension))
    return slope, sum((w * forms[v][1] for v, w in row[0].items()), row[1])


def cut(corners: list[Vector], form: Affine) -> Iterator[list[Vector]]:
    """The parts with an interior where a form is not negative, and where it is not positive."""
    values = [at(form, x) for x in corners]
    if min(values) >= 0 or max(values) <= 0:
        yield corners
        return
    for sign in (1, -1):
        part: list[Vector] = []
        for k, (x, v) in enumerate(zip(corners, values, strict=True)):
            if sign * v >= 0:
                part.append(x)
            y, w = corners[(k + 1) % len(corners)], values[(k + 1) % len(corners)]
            if v * w < 0:
                part.append(tuple(a + (b - a) * (v / (v - w)) for a, b in zip(x, y, strict=True)))
        yield list(dict.fromkeys(part))


@dataclass(frozen=True)
class Point:
    """All values and outputs at a point."""

    values: Vector
    outputs: Vector


@dataclass
class Cell:
    """A full-dimensional cell: its corners and middle, the affine forms of all values and outputs."""

    corners: list[Vector]
    forms: list[Affine]
    outputs: list[Affine] = field(default_factory=list)

    @cached_property
    def middle(self) -> Vector:
        return tuple(sum(c, ZERO) / len(self.corners) for c in zip(*self.corners, strict=True))

    @cached_property
    def inside(self) -> Point:
        """The values in its middle."""
        return self.point(self.middle)

    def point(self, x: Vector) -> Point:
        return Point(tuple(at(f, x) for f in self.forms), tuple(at(f, x) for f in self.outputs))

    def phases(self, net: Net) -> list[tuple[Fraction, ...]]:
        """The slopes that each neuron may have: both where it is 0 all around."""
        z = [self.inside.values[k] for k, _ in net.neurons]
        return [(ONE,) if v > 0 else (ZERO,) if v < 0 else (ZERO, ONE) for v in z]

    def gradient(self, objective: dict[int, Fraction]) -> Vector:
        slopes = (self.outputs[k][0] for k in objective)
        return tuple(
            sum((c * s for c, s in zip(objective.values(), column, strict=True)), ZERO) for column in zip(*slopes, strict=True)
        )


def cells(
    net: Net, ends: Sequence[tuple[Fraction, Fraction]], lines: Sequence[Callable[[Cell], Iterator[Affine]]] = ()
) -> list[Cell]:
    """All cells on a box, cut further by what `lines` make of each."""
    free = [j for j, (a, b) in enumerate(ends) if a < b]
    units = [tuple(Fraction(i == j) for i in free) for j in range(net.inputs)]
    forms = [(unit, ZERO if j in free else ends[j][0]) for j, unit in enumerate(units)]
    box = [ends[j] for j in free]
    corners = list(itertools.product(*box))
    if len(box) == 2:
        corners[2:] = reversed(corners[2:])  # around
    found = [Cell(corners, forms)]
    for layer in net.layers:
        z_of = [[combine(row, cell.forms) for row in layer] for cell in found]
        parts = [(part, cell, z) for cell, z in zip(found, z_of, strict=True) for part in _parts(cell.corners, z)]
        found = []
        for part, cell, z in parts:
            fresh = Cell(part, cell.forms)
            y = [f if at(f, fresh.middle) > 0 else (tuple(ZERO for _ in free), ZERO) for f in z]
            fresh.forms = [*cell.forms, *z, *y]
            found.append(fresh)
    for cell in found:
        cell.outputs = [combine(row, cell.forms) for row in net.outputs]
    for rule in lines:
        found = [Cell(part, cell.forms, cell.outputs) for cell in found for part in _parts(cell.corners, list(rule(cell)))]
    return found


def _parts(corners: list[Vector], forms: list[Affine]) -> list[list[Vector]]:
    parts = [corners]
    for form in forms:
        parts = [smaller for part in parts for smaller in cut(part, form)]
    return parts


def between(low: Fraction | None, v: Fraction, high: Fraction | None) -> bool:
    return (low is None or low <= v) and (high is None or v <= high)


def solve(columns: list[list[Fraction]], goal: list[Fraction]) -> list[Fraction] | None:
    """Some x with ``sum x_k columns[k] = goal``, by elimination; None if there is none."""
    rows = [[*(c[i] for c in columns), g] for i, g in enumerate(goal)]
    pivots: list[tuple[int, int]] = []
    for k in range(len(columns)):
        i = next((i for i in range(len(pivots), len(rows)) if rows[i][k]), None)
        if i is None:
            continue
        rows[len(pivots)], rows[i] = rows[i], rows[len(pivots)]
        top = rows[len(pivots)] = [v / rows[len(pivots)][k] for v in rows[len(pivots)]]
        for other in range(len(rows)):
            if other != len(pivots):
                rows[other] = [a - rows[other][k] * b for a, b in zip(rows[other], top, strict=True)]
        pivots.append((len(pivots), k))
    if any(row[-1] for row in rows[len(pivots) :]):
        return None
    result = [ZERO] * len(columns)
    for i, k in pivots:
        result[k] = rows[i][-1]
    return result
