"""A guess whether splitting inputs will work: how fast bounds improve when a box is halved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.boxes import Boxes, tightened
from wdaverify.search.input_split import output_forms

if TYPE_CHECKING:
    from wdaverify._types import Matrix
    from wdaverify.bounds.boxes import Origin
    from wdaverify.search.row_groups import RowGroups

_SPLITS = 3

_GAIN = 1.5
"""Least factor by which a split must shrink the worst gap."""


def halving_pays(origin: Origin, root: Boxes, goals: RowGroups) -> bool:
    """Whether three halvings of the best input shrink the largest gap by a factor of 1.5 each, in the worse half.

    The gap of a group is the smallest bound of its rows: it is closed below 0.
    """
    box, first = root, _gap(origin, root, goals)[0]
    for _ in range(_SPLITS):
        middle = box.lower + 0.5 * (box.upper - box.lower)
        n = middle.shape[1]
        eye = np.eye(n, dtype=bool)
        below = Boxes(np.repeat(box.lower, n, axis=0), np.where(eye, middle, box.upper), *_repeated(box, n))
        above = Boxes(np.where(eye, middle, box.lower), np.repeat(box.upper, n, axis=0), *_repeated(box, n))
        halves = Boxes.joined([below, above])
        gaps = _gap(origin, halves, goals).reshape(2, n)
        best = int(np.argmin(gaps.max(axis=0)))
        gap = float(gaps[:, best].max())
        worse = int(np.argmax(gaps[:, best])) * n + best
        box = halves[worse : worse + 1]
        if gap < 0:
            return True
    return bool(gap * _GAIN**_SPLITS <= first)


def _repeated(box: Boxes, n: int) -> tuple[Matrix, Matrix]:
    return np.repeat(box.low, n, axis=0), np.repeat(box.high, n, axis=0)


def _gap(origin: Origin, boxes: Boxes, goals: RowGroups) -> Matrix:
    """The largest over the groups of the smallest bound of their rows, per box."""
    tight = tightened(origin, boxes)
    return np.asarray(goals.least(output_forms(tight.relaxation, goals, tight.boxes).ends).max(axis=1))
