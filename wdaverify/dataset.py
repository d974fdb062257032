"""The nominal data: samples, labels and weights, and their files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify._csv import parse_csv
from wdaverify._errors import DataError, DomainError
from wdaverify._npz import read_arrays
from wdaverify.feature_domain import Domain

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network


_ROUNDED = "does not fit into float64 without rounding"
_WIDEST = 8
"""Bytes of the integers that a float64 may not hold."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """The file that data came from, and its digest."""

    file: str
    sha256: str


@dataclass(frozen=True, eq=False, init=False)
class Dataset:
    """Samples with labels and weights: the nominal distribution ``sum_i w_i delta_(x_i, y_i)``.

    Parameters
    ----------
    x
        Shape (N, ...); every sample is flattened in C order, and values are kept as float64.
    y
        Shape (N,), whole numbers from 0: the index of the output that should be largest.
    weights
        Shape (N,), nonnegative and not all zero, normalised to sum 1; equal weights if not given.
    source
        The file that the data came from.

    Raises
    ------
    DataError
        If shapes differ, there is no sample, or a value is NaN, infinite, not a label, or a negative weight.

    Examples
    --------
    >>> data = Dataset([[0.0, 1.0], [0.5, 0.5]], [0, 1], weights=[1, 2])
    >>> data.count, data.size, data.fractions
    (2, 2, (Fraction(1, 3), Fraction(2, 3)))
    """

    x: Matrix
    y: IntArray
    weights: Vector | None
    source: DataSource | None

    def __init__(self, x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None, *, source: DataSource | None = None) -> None:
        points, labels = _samples(x), _labels(y)
        if len(points) != len(labels):
            raise DataError(f"x has {len(points)} rows but y has {len(labels)} labels")
        if len(labels) == 0:
            raise DataError("the data is empty: a worst case needs at least one sample")
        masses = None if weights is None else _weights(weights, len(labels))
        for name, value in (("x", points), ("y", labels), ("weights", masses), ("source", source)):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @staticmethod
    def load(path: str | Path) -> Dataset:
        """Read data from a file.

        Parameters
        ----------
        path
            An `.npz` with arrays ``x`` (N, ...), ``y`` (N,) and perhaps ``weights`` (N,); or a `.csv` whose last column
            is the label, with or without a header line.

        Raises
        ------
        DataError
            As the constructor, and if the file cannot be read; the message begins with the file name.
        """
        file = Path(path)
        try:
            if file.suffix.lower() == ".csv":
                content = _read_bytes(file)
                x, y, weights = *parse_csv(content), None
            else:
                arrays = read_arrays(file, required=("x", "y"), optional=("weights",))
                content = _read_bytes(file)
                x, y, weights = arrays["x"], arrays["y"], arrays.get("weights")
            return Dataset(x, y, weights, source=DataSource(str(path), hashlib.sha256(content).hexdigest()))
        except DataError as error:
            raise DataError(str(error) if str(error).startswith(str(file)) else f"{file}: {error}") from None

    @property
    def count(self) -> int:
        """Number N of samples."""
        return len(self.y)

    @property
    def size(self) -> int:
        """Number n of coordinates of a sample."""
        return int(self.x.shape[1])

    @cached_property
    def fractions(self) -> tuple[Fraction, ...]:
        """The weights as exact rationals with sum exactly 1."""
        if self.weights is None:
            return (Fraction(1, self.count),) * self.count
        exact = [Fraction(float(w)) for w in self.weights]
        total = sum(exact)
        return tuple(w / total for w in exact)

    def first(self, count: int) -> Dataset:
        """The first `count` samples, their weights normalised anew.

        Raises
        ------
        DataError
            If `count` is below 1 or above the number of samples.

        Examples
        --------
        >>> Dataset([[0.0], [1.0], [0.5]], [0, 1, 0]).first(2).y.tolist()
        [0, 1]
        """
        if not 1 <= count <= self.count:
            raise DataError(f"{count} samples were asked for, the data has {self.count}; give a number from 1 to {self.count}")
        weights = None if self.weights is None else self.weights[:count]
        return Dataset(self.x[:count], self.y[:count], weights, source=self.source)

    def checked_against(self, network: Network, domain: Box | Domain) -> Dataset:
        """Return the data after a check that a worst-case risk of `network` over `domain` is defined.

        Raises
        ------
        DataError
            If the network has fewer than two outputs, reads another number of coordinates, or lacks a label.
        DomainError
            If a sample lies outside the domain (otherwise small balls around it are empty); decided exactly.
        """
        if network.outputs < 2:
            raise DataError(f"the network has {network.outputs} output; a label needs at least two to be compared")
        if self.size != network.inputs:
            raise DataError(f"samples have {self.size} coordinates, the network has {network.inputs} inputs")
        foreign = np.flatnonzero(self.y >= network.outputs)
        if len(foreign):
            raise DataError(
                f"sample {foreign[0]} has label {self.y[foreign[0]]}, the network has outputs 0 to {network.outputs - 1}"
            )
        if isinstance(domain, Domain):
            for i, point in enumerate(self.x):
                broken = domain.sized(self.size).broken(point)
                if broken is not None:
                    raise DomainError(f"sample {i} lies outside the domain: {broken}")
            return self
        sized = domain.sized(self.size)
        outside = np.argwhere((self.x < sized.lower) | (self.x > sized.upper))
        if len(outside):
            i, k = map(int, outside[0])
            raise DomainError(
                f"sample {i} lies outside the domain: x[{i}, {k}] = {float(self.x[i, k])!r} is not in "
                f"[{sized.lower[k]:g}, {sized.upper[k]:g}]; give a larger --domain or scale the data"
            )
        return self

    def __str__(self) -> str:
        name = "data" if self.source is None else self.source.file
        return f"{name}: {self.count} samples of {self.size} coordinates"


def _numeric(values: ArrayLike, name: str) -> np.ndarray[Any, Any]:
    """The values as an array of bool, integer or float."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"{name} is ragged: all samples need the same shape") from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} has dtype {array.dtype}, not numbers")
    return array


def _exact_float64(array: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The same numbers as float64; NaN, infinities and numbers that float64 cannot hold are refused by position."""
    with np.errstate(over="ignore"):
        result = array.astype(np.float64)
    for kind, what in ((np.isnan, "is NaN"), (np.isinf, "is not finite"), (partial(_lossy, array), _ROUNDED)):
        bad = kind(result)
        if bad.any():
            raise DataError(f"{_position(bad, name)} {what}")
    return result


def _lossy(array: np.ndarray[Any, Any], result: Vector) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which entries changed: only integers beyond 2^53 and extended floats can."""
    if array.dtype.kind == "f":
        return np.asarray(result.astype(array.dtype) != array)
    changed = np.zeros(array.shape, dtype=np.bool_)
    if array.dtype.itemsize == _WIDEST:
        # What was rounded up to the end of the integers' range has no integer to be compared with.
        inside = result < float(2 ** (64 if array.dtype.kind == "u" else 63))
        changed[~inside] = True
        changed[inside] = result[inside].astype(array.dtype) != array[inside]
    return changed


def _position(bad: np.ndarray[Any, Any], name: str) -> str:
    """The first bad entry, written as an index."""
    return f"{name}[{', '.join(str(int(k)) for k in np.argwhere(bad)[0])}]"


def _samples(x: ArrayLike) -> Matrix:
    """Samples as an (N, n) float64 matrix."""
    array = _numeric(x, "x")
    if array.ndim == 0:
        raise DataError("x is a single number; give an array of shape (N, ...)")
    flat = array.reshape(len(array), -1) if len(array) else array.reshape(0, 0)
    if len(flat) and flat.shape[1] == 0:
        raise DataError(f"x has shape {array.shape}: samples without coordinates")
    return _exact_float64(flat, "x")


def _labels(y: ArrayLike) -> IntArray:
    """Labels as whole numbers from 0."""
    array = _numeric(y, "y")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(f"y has shape {array.shape}; give one label per sample, shape (N,)")
    values = _exact_float64(array, "y")
    for bad, what in ((values != np.floor(values), "is not a whole number"), (values < 0, "is negative; labels count from 0")):
        if bad.any():
            raise DataError(f"{_position(bad, 'y')} = {values[bad][0]:g} {what}")
    if (values > 2**31).any():
        raise DataError(f"{_position(values > 2**31, 'y')} = {values.max():g} is no label")
    return values.astype(np.int64)


def _weights(weights: ArrayLike, count: int) -> Vector:
    """Weights as nonnegative float64 numbers, not all zero."""
    array = _numeric(weights, "weights")
    if array.shape != (count,):
        raise DataError(f"weights have shape {array.shape}; give one per sample, shape ({count},)")
    values = _exact_float64(array, "weights")
    if (values < 0).any():
        raise DataError(f"{_position(values < 0, 'weights')} = {values[values < 0][0]:g} is negative")
    if not values.any():
        raise DataError("all weights are zero; at least one must be positive")
    return values


def _read_bytes(path: Path) -> bytes:
    """The file's content."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
