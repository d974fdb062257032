"""VNN-LIB 1.0: assertions about inputs X_i and outputs Y_k as a disjunction of conjunctions of linear rows, exactly.

Comparisons ``<= >= < > =`` of linear terms (``+ - *``, one factor constant) under ``and`` and ``or``. A comparison ``a <= b`` is
the row ``b - a >= 0``; ``=`` gives ``a - b >= 0`` and then ``b - a >= 0``; a chain gives one comparison per pair. Disjuncts
are in lexicographic order of the choices in the file (the first ``or`` varies slowest), rows of a disjunct in file order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from .num import Unreadable, shown

_TOKEN = re.compile(r"[()]|;[^\r\n]*|[^\s();]+", re.ASCII)
_NAME = re.compile(r"([XY])_(0|[1-9][0-9]{0,8})")
_DECIMAL = re.compile(r"([+-]?)([0-9]{1,2000})(?:\.([0-9]{0,2000}))?(?:[eE]([+-]?[0-9]{1,3}))?", re.ASCII)
_COMPARISONS = ("<=", ">=", "<", ">", "=")
MAX_ROWS, MAX_DISJUNCTS, MAX_DEPTH, MAX_TOTAL = 600_000, 10_000, 10_000, 4_000_000


@dataclass(frozen=True)
class Row:
    """``sum terms + constant >= 0`` (strict: > 0); terms are keyed by ("X", i) or ("Y", k); `order` is the place in the file."""

    order: int
    terms: tuple[tuple[tuple[str, int], Fraction], ...]
    constant: Fraction
    strict: bool

    def value(self, x: list[Fraction], y: list[Fraction]) -> Fraction:
        """The left side at a point."""
        return self.constant + sum(w * (x if kind == "X" else y)[i] for (kind, i), w in self.terms)

    def single_input(self) -> int | None:
        """The input that this row bounds, if it speaks about nothing else."""
        if len(self.terms) == 1 and self.terms[0][0][0] == "X":
            return self.terms[0][0][1]
        return None


Disjunct = tuple[Row, ...]
Linear = tuple[dict[tuple[str, int], Fraction], Fraction]


class _Reader:
    def __init__(self) -> None:
        self.declared: set[tuple[str, int]] = set()
        self.rows = 0
        self.factors: list[list[Disjunct]] = []

    def close(self, form: list[Any]) -> Any:
        """The value of a closed form."""
        if not form or not isinstance(form[0], str):
            raise Unreadable("a parenthesis has no operator")
        head, rest = form[0], form[1:]
        if head in _COMPARISONS and len(rest) >= 2:
            pairs = pairwise(rest)
            return [tuple(row for a, b in pairs for row in self.compare(head, self.linear(a), self.linear(b)))]
        if head in ("and", "or") and rest:
            if not all(isinstance(f, list) for f in rest):
                raise Unreadable(f"'{head}' of something that is no comparison")
            if head == "or":
                return self.limited([d for f in rest for d in f])
            return conjoin(rest)
        if head in ("+", "-", "*") and rest:
            return self.arithmetic(head, [self.linear(v) for v in rest])
        raise Unreadable(f"{shown(head)} is not supported")

    def limited(self, disjuncts: list[Disjunct]) -> list[Disjunct]:
        if len(disjuncts) > MAX_DISJUNCTS:
            raise Unreadable(f"limit: more than {MAX_DISJUNCTS} disjuncts")
        return disjuncts

    def linear(self, value: Any) -> Linear:
        if isinstance(value, tuple):
            return value
        if not isinstance(value, str):
            raise Unreadable("a comparison stands where a number is expected")
        match = _NAME.fullmatch(value)
        if match:
            key = (match[1], int(match[2]))
            if key not in self.declared:
                raise Unreadable(f"{shown(value)} is not declared")
            return {key: Fraction(1)}, Fraction(0)
        match = _DECIMAL.fullmatch(value)
        if not match:
            raise Unreadable(f"{shown(value)} is no number")
        sign, whole, part, power = match.groups()
        exponent = int(power or 0) - len(part or "")
        size = int(whole + (part or "")) if len(whole + (part or "")) < 4000 else None
        if size is None:
            raise Unreadable("limit: a number has too many digits")
        result = Fraction(size * 10**exponent) if exponent >= 0 else Fraction(size, 10**-exponent)
        return {}, -result if sign == "-" else result

    def arithmetic(self, head: str, values: list[Linear]) -> Linear:
        if head == "*":
            total: Linear = ({}, Fraction(1))
            for terms, constant in values:
                if terms and total[0]:
                    raise Unreadable("a product of two variables is not linear")
                factor, (base, k) = (constant, total) if not terms else (total[1], (terms, constant))
                total = ({v: w * factor for v, w in base.items()}, k * factor)
            return total
        signs = [1] * len(values) if head == "+" else [-1] if len(values) == 1 else [1] + [-1] * (len(values) - 1)
        terms_sum: dict[tuple[str, int], Fraction] = {}
        for (terms, _), s in zip(values, signs, strict=True):
            for v, w in terms.items():
                terms_sum[v] = terms_sum.get(v, Fraction(0)) + s * w
        return terms_sum, sum((s * c for (_, c), s in zip(values, signs, strict=True)), Fraction(0))

    def compare(self, head: str, a: Linear, b: Linear) -> list[Row]:
        rows = []
        for left, right in {"<": [(b, a)], ">": [(a, b)], "=": [(a, b), (b, a)]}[head[0]]:
            terms, constant = self.arithmetic("-", [left, right])
            self.rows += 1
            if self.rows > MAX_ROWS:
                raise Unreadable(f"limit: more than {MAX_ROWS} comparisons")
            kept = tuple(sorted((v, w) for v, w in terms.items() if w))
            rows.append(Row(self.rows, kept, constant, len(head) == 1 and head != "="))
        return rows

    def command(self, form: list[Any]) -> None:
        if len(form) == 3 and form[0] == "declare-const" and form[2] == "Real":
            match = _NAME.fullmatch(form[1]) if isinstance(form[1], str) else None
            if match is None or (match[1], int(match[2])) in self.declared:
                raise Unreadable(f"declares {shown(form[1])}, which is no new X_i or Y_k")
            self.declared.add((match[1], int(match[2])))
        elif len(form) == 2 and form[0] == "assert" and isinstance(form[1], list):
            self.factors.append(form[1])
        else:
            raise Unreadable("has a command that is neither a declaration nor an assertion")


def conjoin(factors: list[list[Disjunct]]) -> list[Disjunct]:
    """The conjunction of disjunctions: rows of each disjunct in file order."""
    result: list[Disjunct] = [()]
    base = tuple(row for f in factors if len(f) == 1 for row in f[0])
    for factor in (f for f in factors if len(f) != 1):
        count = len(result) * len(factor)
        total = sum(map(len, result)) * len(factor) + sum(map(len, factor)) * len(result)
        if count > MAX_DISJUNCTS or total + count * len(base) > MAX_TOTAL:
            raise Unreadable(f"limit: {count} disjuncts, with {total + count * len(base)} rows")
        result = [a + b for a in result for b in factor]
    return [tuple(sorted(base + d, key=lambda row: row.order)) for d in result]


def read_property(content: bytes, inputs: int, outputs: int) -> list[Disjunct]:
    """The disjuncts of a property's bytes, whose variables are exactly those of the model."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("is no UTF-8 text") from None
    reader, stack = _Reader(), [[]]  # type: tuple[_Reader, list[list[Any]]]
    for match in _TOKEN.finditer(text):
        word = match[0]
        if word[0] == ";":
            continue
        if word == "(":
            if len(stack) > MAX_DEPTH:
                raise Unreadable("limit: nested too deep")
            stack.append([])
        elif word == ")":
            if len(stack) < 2:
                raise Unreadable("a parenthesis closes nothing")
            form = stack.pop()
            if len(stack) == 1:
                reader.command(form)
            else:
                stack[-1].append(reader.close(form))
        elif len(stack) == 1:
            raise Unreadable(f"{shown(word)} stands outside all parentheses")
        else:
            stack[-1].append(word)
    if len(stack) > 1:
        raise Unreadable("a parenthesis is never closed")
    expected = {("X", i) for i in range(inputs)} | {("Y", k) for k in range(outputs)}
    if reader.declared != expected:
        raise Unreadable(f"declares other variables than {inputs} inputs and {outputs} outputs")
    if not reader.factors:
        raise Unreadable("asserts nothing")
    return conjoin(reader.factors)
