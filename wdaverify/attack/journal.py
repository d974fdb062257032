"""The journal of an attack: what finished batches found, on disk before they count as finished.

A folder with one `.npz` per batch, written under another name, synced, and renamed: a file that is there is whole. It holds the
numbers of its samples; a later run may use other batches. In every file stand a hash of the question and the logits at samples
and points, so that what belongs to another question or to other code is refused (`attack.recall`). Nothing in a file is trusted:
shapes, kinds and ranges are checked here, what the numbers say by evaluating the model again. A journal belongs to one run at a
time (an exclusive lock of a file in the folder).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from wdaverify._errors import DataError, InputError
from wdaverify._lock import hold
from wdaverify._npz import read_arrays
from wdaverify.attack.findings import CLEAN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from wdaverify._types import IntArray, Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How many samples N, coordinates n, classes K and parts of the method a run has."""

    samples: int
    coordinates: int
    classes: int
    parts: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedBatch:
    """What was found for the samples of an index (B,).

    Attributes
    ----------
    index
        Numbers of the samples, ascending, (B,).
    distances, targets, points, parts
        As in `Findings`, of those samples.
    at_samples, at_points
        The logits by which samples and points were judged, (B, K); NaN where there is no point.
    counts
        Evaluations and gradients that the batch took, (2,).
    """

    index: IntArray
    distances: Vector
    targets: IntArray
    points: Matrix
    parts: IntArray
    at_samples: Matrix
    at_points: Matrix
    counts: IntArray

    def fault(self, extent: Extent) -> str | None:
        """What of the arrays cannot be true of a run of that extent."""
        count, known = len(self.index), np.isfinite(self.distances)
        sizes = {"points": extent.coordinates, "at_samples": extent.classes, "at_points": extent.classes}
        for field in fields(self):
            array = getattr(self, field.name)
            shape = (2,) if field.name == "counts" else (count, sizes[field.name]) if field.name in sizes else (count,)
            kind = np.int64 if field.name in ("index", "targets", "parts", "counts") else np.float64
            if array.dtype != kind or array.shape != shape:
                return f"'{field.name}' is an array {array.shape} of {array.dtype}, not {shape} of {np.dtype(kind)}"
        if count == 0 or self.index[0] < 0 or self.index[-1] >= extent.samples or (np.diff(self.index) <= 0).any():
            return "speaks of samples that do not exist, or twice of one"
        if np.isnan(self.distances).any() or (self.distances < 0).any() or (self.counts < 0).any():
            return "holds a distance or a count that is none"
        if not np.isfinite(self.points[known]).all() or not np.isnan(self.points[~known]).all():
            return "has points that are not finite, or points without a distance"
        if (known != (self.targets >= 0)).any() or (self.targets >= extent.classes).any():
            return "has classes that do not exist"
        if (known != (self.parts != -1)).any() or (self.parts < CLEAN).any() or (self.parts >= extent.parts).any():
            return "has findings of an unknown part"
        return None


class Journal:
    """The files of finished batches; a context manager that holds the lock.

    Parameters
    ----------
    folder
        Made if it is missing.
    digest
        Hash of the question, in hexadecimal.
    extent
        Of the run.

    Raises
    ------
    InputError
        If the folder cannot be made or written, or another run holds it.
    """

    def __init__(self, folder: str | Path, digest: str, extent: Extent) -> None:
        self._folder, self._digest = Path(folder), np.frombuffer(bytes.fromhex(digest), dtype=np.uint8)
        self._extent = extent
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._folder / "journal.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made: {error.strerror or error}; give another journal folder") from None
        if not hold(self._lock):
            os.close(self._lock)
            raise InputError(f"{folder}: another run of attack is writing this journal; wait for it or give another folder")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._lock)

    def batches(self) -> Iterator[tuple[Path, FinishedBatch]]:
        """The finished batches and their files.

        Raises
        ------
        InputError
            If a file is damaged or belongs to another question.
        """
        names = [field.name for field in fields(FinishedBatch)]
        for file in sorted(self._folder.glob("batch-*.npz")):
            try:
                arrays = read_arrays(file, required=("digest", *names))
            except DataError as error:
                raise refused(error) from None
            if not np.array_equal(arrays.pop("digest"), self._digest):
                raise InputError(f"{file}: this journal belongs to another model, data or options; give another folder")
            batch = FinishedBatch(**arrays)
            if (fault := batch.fault(self._extent)) is not None:
                raise refused(f"{file}: {fault}")
            yield file, batch

    def keep(self, batch: FinishedBatch) -> None:
        """Write the file of a finished batch; it is on disk when this returns.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        name = f"batch-{int(batch.index[0]):09d}-{len(batch.index)}"
        arrays: dict[str, Any] = {field.name: getattr(batch, field.name) for field in fields(batch)}
        try:
            with (self._folder / f"{name}.part").open("wb") as stream:
                np.savez(stream, digest=self._digest, **arrays)
                stream.flush()
                os.fsync(stream.fileno())
            (self._folder / f"{name}.part").replace(self._folder / f"{name}.npz")
            _sync(self._folder)
        except OSError as error:
            with suppress(OSError):
                (self._folder / f"{name}.part").unlink(missing_ok=True)
            raise InputError(f"{self._folder}: cannot be written: {error.strerror or error}") from None


def refused(said: object) -> InputError:
    """The error about a file of a journal."""
    return InputError(f"{said}; delete this file of the journal")


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
