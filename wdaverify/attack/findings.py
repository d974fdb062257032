"""What is known about every sample, as arrays that grow batch by batch, and the journal from which a stopped run goes on.

The journal is a folder with one `.npz` per finished batch, written under another name first, so that a file that is there is
whole. It holds the numbers of the samples; a later run may use other batches. A hash of the question stands in every file: what
belongs to another question is refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify._errors import DataError, InputError
from wdaverify._npz import read_arrays

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.dataset import Dataset

_ARRAYS = ("digest", "index", "distances", "targets", "points", "parts", "counts")


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


class Journal:
    """The files of finished batches.

    Parameters
    ----------
    folder
        Made if it is missing.
    digest
        Hash of the question, in hexadecimal.

    Raises
    ------
    InputError
        If the folder cannot be made.
    """

    def __init__(self, folder: str | Path, digest: str) -> None:
        self._folder, self._digest = Path(folder), np.frombuffer(bytes.fromhex(digest), dtype=np.uint8)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made: {error.strerror or error}; give another journal folder") from None

    def recall(self, findings: Findings) -> tuple[int, int]:
        """Fill in what finished batches found, and return their evaluations and gradients.

        Raises
        ------
        InputError
            If a file is damaged or belongs to another question.
        """
        forward = backward = 0
        for file in sorted(self._folder.glob("batch-*.npz")):
            try:
                arrays = read_arrays(file, required=_ARRAYS)
            except DataError as error:
                raise InputError(f"{error}; delete this file of the journal") from None
            if not np.array_equal(arrays["digest"], self._digest):
                raise InputError(f"{file}: this journal belongs to another model, data or options; give another folder")
            index = arrays["index"]
            found = {name: arrays[name] for name in ("distances", "targets", "points", "parts")}
            if len(index) and not (index.min() >= 0 and index.max() < len(findings.done)):
                raise InputError(f"{file}: speaks of samples that do not exist; delete this file of the journal")
            findings.put(index, **found)
            findings.done[index] = True
            forward, backward = forward + int(arrays["counts"][0]), backward + int(arrays["counts"][1])
        return forward, backward

    def keep(self, index: IntArray, findings: Findings, counts: tuple[int, int]) -> None:
        """Write the file of a finished batch.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        name = f"batch-{int(index[0]):09d}-{len(index)}"
        arrays: dict[str, Any] = {n: getattr(findings, n)[index] for n in ("distances", "targets", "points", "parts")}
        try:
            with (self._folder / f"{name}.part").open("wb") as stream:
                np.savez(stream, digest=self._digest, index=index, counts=np.array(counts), **arrays)
            (self._folder / f"{name}.part").replace(self._folder / f"{name}.npz")
        except OSError as error:
            raise InputError(f"{self._folder}: cannot be written: {error.strerror or error}") from None


def question_digest(*parts: Any) -> str:
    """A hash of numbers, texts and arrays."""
    total = hashlib.sha256()
    for part in parts:
        content = np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode()
        total.update(len(content).to_bytes(8, "big") + content)
    return total.hexdigest()
