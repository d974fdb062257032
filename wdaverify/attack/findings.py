"""What is known about every sample, as arrays that grow batch by batch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.dataset import Dataset

CLEAN = -2
"""The part of samples that err as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Per sample: distance, rival class, point, number of the part that found it, and whether its batch is finished."""

    distances: Vector
    targets: IntArray
    points: Matrix
    parts: IntArray
    done: BoolArray

    @staticmethod
    def of(data: Dataset) -> Findings:
        """Nothing known."""
        count = data.count
        points = np.full((count, data.size), np.nan)
        return Findings(np.full(count, np.inf), np.full(count, -1), points, np.full(count, -1), np.zeros(count, dtype=bool))

    def put(self, index: IntArray, *, distances: Vector, targets: IntArray, points: Matrix, parts: IntArray) -> None:
        """Keep what is nearer than what is known for the samples of an index (B,)."""
        nearer = distances < self.distances[index]
        place = index[nearer]
        self.distances[place], self.targets[place] = distances[nearer], targets[nearer]
        self.points[place], self.parts[place] = points[nearer], parts[nearer]


def question_digest(*parts: Any) -> str:
    """A hash of numbers, texts and arrays."""
    total = hashlib.sha256()
    for part in parts:
        content = np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode()
        total.update(len(content).to_bytes(8, "big") + content)
    return total.hexdigest()
