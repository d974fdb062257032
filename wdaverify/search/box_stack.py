"""A stack of boxes in growing arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify.bounds.boxes import Boxes

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix


class Entry(NamedTuple):
    """Boxes and the groups (B, G) that are not closed on them."""

    boxes: Boxes
    is_open: BoolArray


class BoxStack:
    """Last in, first out, many at a time; a box on it is one row of a few arrays."""

    def __init__(self, first: Boxes, is_open: BoolArray) -> None:
        self._arrays: list[Matrix | BoolArray] = [first.lower, first.upper, first.low, first.high, is_open]
        self._arrays = [array.copy() for array in self._arrays]
        self.count = first.count

    def push(self, boxes: Boxes, is_open: BoolArray) -> None:
        """Put boxes on top, the last one uppermost."""
        new = (boxes.lower, boxes.upper, boxes.low, boxes.high, is_open)
        end = self.count + boxes.count
        for k, (old, more) in enumerate(zip(self._arrays, new, strict=True)):
            if end > len(old):
                larger = np.empty((2 * end, old.shape[1]), dtype=old.dtype)
                larger[: self.count] = old[: self.count]
                self._arrays[k] = larger
            self._arrays[k][self.count : end] = more
        self.count = end

    def pop(self, most: int) -> Entry:
        """Take up to `most` boxes off the top."""
        start = max(0, self.count - most)
        lower, upper, low, high, is_open = (array[start : self.count].copy() for array in self._arrays)
        self.count = start
        return Entry(Boxes(lower, upper, low, high), is_open)
