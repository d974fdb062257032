"""The program: a network as scalar variables in stages, and what can be computed forward through it.

Numbering, which a producer must reproduce:

* Block 0 holds the inputs, flattened in C order (a leading dimension that is 1 or symbolic counts as 1). Every stage adds
  one block. Variable ids run through the blocks in order.
* Stages come from the ONNX nodes that the output depends on, in file order (`lower`). Kind **A**: ``v_i = sum_j w_ij v_j +
  b_i`` over variables of earlier blocks. Kind **R**: ``y_i = max(0, z_i)``, z_i a variable of an earlier block.
* An element without variables, or whose coefficients are all zero after merging equal variables, is a constant: it gets no
  variable, in no stage. A stage without variables does not exist.
* Neuron ids run through the elements of all R stages in this order.
* ``proof.program`` lists ``A`` or ``R`` with the number of variables of each stage, without extensions.

Values of a block are integers over one common denominator, because a gcd for every number would cost more than the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from math import lcm
from typing import TypeAlias

from .matrix import Group
from .num import Limits, Unreadable, bounded

Element: TypeAlias = "int | Fraction"
"""A variable id, or a constant."""
Terms: TypeAlias = "dict[int, Fraction]"
Ints: TypeAlias = "list[int]"


@dataclass
class Form:
    """A linear form ``sum terms[v] v + constant`` over variables."""

    terms: Terms = field(default_factory=dict)
    constant: Fraction = Fraction(0)

    @staticmethod
    def of(elements: Iterable[Element], weights: Iterable[Fraction], constant: Fraction = Fraction(0)) -> Form:
        """``sum weights elements + constant``, equal variables merged."""
        terms: Terms = {}
        for e, w in zip(elements, weights, strict=True):
            if type(e) is not int:  # cheaper than to ask for a Fraction
                constant += e * w
            elif e in terms:
                terms[e] += w
            else:
                terms[e] = w
        return Form(terms, constant)


@dataclass
class Stage:
    """An A stage (`groups`, `bias` over `denominator`) or an R stage (`sources`, ids from `first`)."""

    kind: str
    block: int
    size: int
    groups: list[Group] = field(default_factory=list)
    bias: Ints = field(default_factory=list)
    denominator: int = 1
    sources: list[tuple[int, int]] = field(default_factory=list)
    first: int = 0
    wide: list[Group] = field(default_factory=list)
    single: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)

    def sort_out(self) -> None:
        """Part the groups in `wide` ones and single coefficients: {block: [(row, column, weight)]}, as lone biases have them."""
        for g in self.groups:
            if len(g.rows) == len(g.columns) == 1:
                self.single.setdefault(g.block, []).append((g.rows[0], g.columns[0], g.weights[0][0]))
            else:
                self.wide.append(g)


class Program:
    """Stages, blocks and neurons; `outputs` are elements."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.stages: list[Stage] = []
        self.sizes = [inputs]
        self.places: list[tuple[int, int]] = [(0, i) for i in range(inputs)]
        self.neurons: list[tuple[int, int]] = []  # the (block, index) of z
        self.results: list[tuple[int, int]] = []  # the (block, index) of y
        self.outputs: list[Element] = []
        self.terms = 0

    def extension(self) -> Program:
        """A program that begins with the stages of this one."""
        other = Program(self.inputs)
        for name in ("stages", "sizes", "places", "neurons", "results", "outputs"):
            setattr(other, name, list(getattr(self, name)))
        other.terms = self.terms
        return other

    def names(self) -> list[str]:
        """Kind and size of each stage."""
        return [f"{s.kind}{s.size}" for s in self.stages]

    def _block(self, kind: str, size: int) -> Stage:
        if len(self.places) + size > Limits.variables:
            raise Unreadable(f"limit: the program has more than {Limits.variables} variables")
        stage = Stage(kind, len(self.sizes), size)
        self.places += [(stage.block, i) for i in range(size)]
        self.sizes.append(size)
        self.stages.append(stage)
        return stage

    def affine(self, forms: Sequence[Form]) -> list[Element]:
        """An A stage with one row per form that is not constant."""
        live = [f for f in forms if any(f.terms.values())]
        first = len(self.places)
        if live:
            stage = self._block("A", len(live))
            dens = {w.denominator for f in live for w in (*f.terms.values(), f.constant)}
            stage.denominator = q = lcm(*dens)
            scale = {d: q // d for d in dens}
            stage.bias = [f.constant.numerator * scale[f.constant.denominator] for f in live]
            groups: dict[tuple[int, tuple[int, ...]], Group] = {}
            for i, form in enumerate(live):
                self.terms += len(form.terms)
                if self.terms > Limits.terms:
                    raise Unreadable(f"limit: the program has more than {Limits.terms} coefficients")
                for block, run in groupby(sorted(form.terms), key=lambda v: self.places[v][0]):
                    variables = list(run)
                    columns = tuple([self.places[v][1] for v in variables])
                    group = groups.setdefault((block, columns), Group(block, columns))
                    group.rows.append(i)
                    ratios = map(Fraction.as_integer_ratio, map(form.terms.__getitem__, variables))
                    group.weights.append([p * scale[d] for p, d in ratios])
            stage.groups = list(groups.values())
            stage.sort_out()
        count = iter(range(first, first + len(live)))
        return [next(count) if any(f.terms.values()) else f.constant for f in forms]

    def relu(self, elements: Sequence[Element]) -> list[Element]:
        """An R stage with one neuron per element that is not constant."""
        live = [e for e in elements if not isinstance(e, Fraction)]
        first = len(self.places)
        if live:
            stage = self._block("R", len(live))
            stage.sources = [self.places[e] for e in live]
            stage.first = len(self.neurons)
            self.neurons += stage.sources
            self.results += [(stage.block, i) for i in range(len(live))]
        count = iter(range(first, first + len(live)))
        return [max(e, Fraction(0)) if isinstance(e, Fraction) else next(count) for e in elements]

    def objective(self, coefficients: dict[int, Fraction], *, homogeneous: bool = False) -> Form:
        """``sum c_k f_k`` for outputs k; homogeneous: the constants are 0."""
        form = Form.of((self.outputs[k] for k in coefficients), coefficients.values())
        return Form(form.terms, Fraction(0) if homogeneous else form.constant)

    def values(self, x: Sequence[Fraction], *, homogeneous: bool = False) -> list[tuple[Ints, int]]:
        """Exact values of all blocks at a point, as integers and their denominator; homogeneous: all biases 0."""
        blocks = [integers(x)]
        for stage in self.stages:
            if stage.kind == "A":
                blocks.append(forward(stage, blocks, constants=not homogeneous))
            else:
                q = lcm(*{blocks[b][1] for b in {b for b, _ in stage.sources}})
                scale = {b: q // blocks[b][1] for b in {b for b, _ in stage.sources}}
                blocks.append(([max(0, blocks[b][0][i] * scale[b]) for b, i in stage.sources], q))
        return blocks

    def at(self, form: Form, blocks: list[tuple[Ints, int]]) -> Fraction:
        """The value of a form at a point of which `values` were computed."""
        total = form.constant
        for v, w in form.terms.items():
            block, i = self.places[v]
            total += w * Fraction(blocks[block][0][i], blocks[block][1])
        return total

    def output_values(self, x: Sequence[Fraction], *, homogeneous: bool = False) -> list[Fraction]:
        """The exact outputs at a point."""
        blocks = self.values(x, homogeneous=homogeneous)
        forms = (self.objective({k: Fraction(1)}, homogeneous=homogeneous) for k in range(len(self.outputs)))
        return [self.at(form, blocks) for form in forms]


def integers(values: Sequence[Fraction]) -> tuple[Ints, int]:
    """Rationals as integers over their common denominator."""
    q = lcm(*{v.denominator for v in values})
    bounded(q.bit_length(), "a common denominator")
    return [v.numerator * (q // v.denominator) for v in values], q


def forward(stage: Stage, blocks: Sequence[tuple[Ints, int]], *, constants: bool = True) -> tuple[Ints, int]:
    """``W v + b`` of an A stage, or ``W v``."""
    q = lcm(*{blocks[g.block][1] for g in stage.groups})
    bounded((q * stage.denominator).bit_length(), "a common denominator")
    total = [b * q for b in stage.bias] if constants else [0] * stage.size
    for g in stage.groups:
        source, d = blocks[g.block]
        scale = q // d
        x = [source[c] * scale for c in g.columns]
        if any(x):
            for i, v in zip(g.rows, g.combine("column", x), strict=True):
                total[i] += v
    return total, q * stage.denominator


def extend_margin(program: Program, label: int, *, hinge: bool = False) -> tuple[Program, Element]:
    """``m = max_(j != y) f_j - f_y``: all differences, then ``m <- m + relu(z_j - m)``, j increasing; hinge: ``relu(m + 1)``."""
    more, one = program.extension(), Fraction(1)
    others = [j for j in range(len(program.outputs)) if j != label]
    pairs = [Form.of((program.outputs[j], program.outputs[label]), (one, -one)) for j in others]
    margins = more.affine(pairs)
    best = margins[0]
    for z in margins[1:]:
        gain = more.relu(more.affine([Form.of((z, best), (one, -one))]))
        best = more.affine([Form.of((best, gain[0]), (one, one))])[0]
    if hinge:
        best = more.relu(more.affine([Form.of((best,), (one,), one)]))[0]
    return more, best
