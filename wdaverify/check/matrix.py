"""Dense integer matrices, multiplied from either side: where the judge spends its time.

``sum_k c_k line_k`` over the rows (or columns) of a matrix is one multiplication of big integers per line: a line is packed
into one integer, an entry per slot of a fixed number of bytes, wide enough that no sum leaves its slot. Packing pays from
the fourth product on; few or huge coefficients are multiplied one by one. Neighbouring nodes of a proof differ in few
coefficients: the last packed sum is kept, and what changed is added to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import mul

Lines = list[tuple[int, ...]]

_OTHER = {"row": "column", "column": "row", "size": "column size", "column size": "size"}
_FEW, _VISITS, _WIDEST = 6, 4, 34


@dataclass
class Group:
    """Rows of an A stage that read the same variables of one block.

    Views are "row" and "column", and "size" and "column size" of the absolute weights.
    """

    block: int
    columns: tuple[int, ...]
    rows: list[int] = field(default_factory=list)
    weights: list[list[int]] = field(default_factory=list)
    views: dict[str, Lines] = field(default_factory=dict)
    visits: dict[str, int] = field(default_factory=dict)
    packs: dict[str, tuple[int, list[int]]] = field(default_factory=dict)
    last: dict[str, tuple[Sequence[int], int]] = field(default_factory=dict)
    bits: int = 0

    def view(self, name: str) -> Lines:
        """The lines of the matrix under one of its views, computed once."""
        if name not in self.views:
            if name.startswith("column"):
                self.views[name] = list(zip(*self.view(_OTHER[name]), strict=True))
            else:
                self.views[name] = [tuple(map(abs, row)) if name == "size" else tuple(row) for row in self.weights]
        return self.views[name]

    def combine(self, name: str, coefficients: Sequence[int]) -> list[int]:
        """``sum_k coefficients[k] * line_k``, exactly; the coefficients are not all zero."""
        lines = self.view(name)
        active = [k for k, v in enumerate(coefficients) if v]
        length = len(lines[0])
        if len(active) >= _FEW and length >= _FEW:
            self.visits[name] = self.visits.get(name, 0) + 1
            width = self._width(coefficients)
            if width <= _WIDEST and self.visits[name] >= _VISITS:
                return self._packed(name, coefficients, width)
        if 2 * len(active) >= len(lines):
            return [sum(map(mul, coefficients, line)) for line in self.view(_OTHER[name])]
        total = [0] * length
        for k in active:
            factor = coefficients[k]
            total = [t + factor * w for t, w in zip(total, lines[k], strict=True)]
        return total

    def _width(self, coefficients: Sequence[int]) -> int:
        """Bytes that hold every sum, with its sign."""
        if not self.bits:
            self.bits = max(max(map(abs, row)) for row in self.weights).bit_length()
        largest = max(map(int.bit_length, coefficients))
        return (largest + self.bits + len(coefficients).bit_length() + 9) // 8

    def _packed(self, name: str, coefficients: Sequence[int], width: int) -> list[int]:
        length = len(self.view(name)[0])
        slot, packs = self.packs.get(name, (0, []))
        if slot < width:
            slot = -(-width // 4) * 4
            half = 1 << (8 * slot - 1)
            bias = half * (((1 << 8 * slot * length) - 1) // ((1 << 8 * slot) - 1))
            shifted = (b"".join((w + half).to_bytes(slot, "little") for w in line) for line in self.view(name))
            packs = [int.from_bytes(line, "little") - bias for line in shifted]
            self.packs[name] = slot, packs
            self.last[name] = [0] * len(packs), 0
        half = 1 << (8 * slot - 1)
        bias = half * (((1 << 8 * slot * length) - 1) // ((1 << 8 * slot) - 1))
        old, total = self.last[name]
        changes = [v - w for v, w in zip(coefficients, old, strict=True)]
        if changes.count(0) > coefficients.count(0):
            total += sum(map(mul, filter(None, changes), compress(packs, changes)))
        else:
            total = sum(map(mul, filter(None, coefficients), compress(packs, coefficients)))
        self.last[name] = tuple(coefficients), total
        content, read = (total + bias).to_bytes(slot * length, "little"), int.from_bytes
        return [read(content[k : k + slot], "little") - half for k in range(0, slot * length, slot)]
