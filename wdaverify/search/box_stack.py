"""A stack of boxes in growing arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify.bounds.boxes import Boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray


class Entry(NamedTuple):
    """Boxes and the groups (B, G) that are not closed on them."""

    boxes: Boxes
    is_open: BoolArray

    @staticmethod
    def whole(boxes: Boxes, groups: int) -> Entry:
        """Boxes on which every group is open."""
        return Entry(boxes, np.ones((boxes.count, groups), dtype=bool))

    @staticmethod
    def joined(parts: Sequence[Entry]) -> Entry:
        """The boxes of all parts, of which there is at least one, in their order."""
        return Entry(Boxes.joined([part.boxes for part in parts]), np.concatenate([part.is_open for part in parts]))

    def every(self, step: int, start: int) -> Entry:
        """Every box of so many, from one on, in arrays of their own."""
        chosen = np.arange(start, self.boxes.count, step)
        return Entry(self.boxes[chosen], self.is_open[chosen])


class BoxStack:
    """Last in, first out, many at a time; a box on it is one row of a few arrays."""

    def __init__(self, first: Boxes, is_open: BoolArray) -> None:
        self._floats = [end.copy() for end in (first.lower, first.upper, first.low, first.high)]
        self._open = is_open.copy()
        self.count = first.count

    def push(self, boxes: Boxes, is_open: BoolArray) -> None:
        """Put boxes on top, the last one uppermost."""
        start, end = self.count, self.count + boxes.count
        if end > len(self._open):
            self._floats = [np.resize(array, (2 * end, array.shape[1])) for array in self._floats]
            self._open = np.resize(self._open, (2 * end, self._open.shape[1]))
        for array, more in zip(self._floats, (boxes.lower, boxes.upper, boxes.low, boxes.high), strict=True):
            array[start:end] = more
        self._open[start:end] = is_open
        self.count = end

    def pop(self, most: int) -> Entry:
        """Take up to `most` boxes off the top."""
        start, end = max(0, self.count - most), self.count
        self.count = start
        return Entry(Boxes(*(array[start:end].copy() for array in self._floats)), self._open[start:end].copy())
