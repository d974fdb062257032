"""Samples read from `.npz` (numeric arrays only, never a pickle) or `.csv` files."""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from .num import Limits, Unreadable

_HEADER = re.compile(
    rb"\{\s*'descr'\s*:\s*'([<>|=]?)([biuf])([0-9]{1,2})'\s*,\s*'fortran_order'\s*:\s*(True|False)\s*,"
    rb"\s*'shape'\s*:\s*\(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\)\s*,?\s*\}\s*"
)
_CODES = {"b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q"}
_CODES |= {"f2": "e", "f4": "f", "f8": "d"}
_QUOTED = re.compile(r'"[^"]*"')
_NUMBER = re.compile(r"[+-]?(\.?[0-9]|inf|nan)", re.ASCII | re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?([0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})([eE][+-]?[0-9]{1,5})?", re.ASCII)


@dataclass
class Array:
    """A numeric array: shape, and bytes that are decoded row by row."""

    shape: tuple[int, ...]
    form: str
    order: str
    content: bytes

    def rows(self, start: int, count: int, width: int) -> list[Fraction]:
        """The numbers of `count` rows of `width` numbers, exactly."""
        return [Fraction(v) for v in self.numbers(start, count, width)]

    def numbers(self, start: int, count: int, width: int) -> tuple[float, ...]:
        """The same as integers or floats."""
        size = struct.calcsize(self.order + self.form)
        values = struct.unpack_from(f"{self.order}{count * width}{self.form}", self.content, start * width * size)
        if not all(map(math.isfinite, values)):
            raise Unreadable("a number is not finite")
        if self.form in "qQ" and any(abs(v) > 1 << 53 for v in values):
            raise Unreadable("an integer is beyond 2^53")
        return values


@dataclass
class Samples:
    """The nominal data: N points, labels, and weights that add up to 1."""

    points: Array | list[list[Fraction]]
    labels: list[int]
    weights: list[Fraction]
    width: int

    def point(self, i: int) -> tuple[Fraction, ...]:
        """Sample i."""
        return tuple(self.points.rows(i, 1, self.width) if isinstance(self.points, Array) else self.points[i])


def read_arrays(content: bytes, wanted: Sequence[str]) -> dict[str, Array]:
    """The named arrays of an `.npz` file's bytes."""
    found: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name not in wanted:
                    continue
                # Some readers prefer a member x to x.npy, so that a file with both is two.
                if name in found or name == member.filename:
                    raise Unreadable(f"array '{name}' is there twice")
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise Unreadable(f"array '{name}' is packed by method {member.compress_type}")
                limit = min(Limits.file, Limits.ratio * member.compress_size + Limits.slack)
                if member.file_size > limit:
                    raise Unreadable(f"limit: array '{name}' unpacks to {member.file_size} bytes")
                with archive.open(member) as stream:
                    found[name] = _array(stream.read(member.file_size + 1), name)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, OSError, ValueError) as error:
        raise Unreadable(f"not a sound .npz file ({type(error).__name__})") from None
    return found


def _array(content: bytes, name: str) -> Array:
    """An array from the bytes of a `.npy` member; the header is matched, never evaluated."""
    if content[:6] != b"\x93NUMPY" or len(content) < 12 or content[6] not in (1, 2):
        raise Unreadable(f"array '{name}' is no .npy file")
    start = 10 if content[6] == 1 else 12
    length = int.from_bytes(content[8:start], "little")
    match = _HEADER.fullmatch(content[start : start + length]) if length < 4096 else None
    if match is None:
        raise Unreadable(f"array '{name}' has a header that is not plain numbers")
    order, kind, width = (g.decode() for g in match.groups()[:3])
    form = _CODES.get(kind + width)
    if re.fullmatch(rb"[0-9]+", match[5]):
        raise Unreadable(f"array '{name}' has a shape that is no tuple")
    if match[4] == b"True":
        raise Unreadable(f"array '{name}' is in Fortran order")
    shape = tuple(int(d) for d in match[5].decode().replace(" ", "").split(",") if d)
    body = content[start + length :]
    if form is None or len(shape) > 32 or math.prod(shape) * int(width) != len(body):
        raise Unreadable(f"array '{name}' has {len(body)} bytes, which its header does not announce")
    return Array(shape, form, ">" if order == ">" else "<", body)


def read_samples(content: bytes, *, csv: bool, count: int | None) -> Samples:
    """The first `count` samples (all by default) of a data file's bytes."""
    if csv:
        rows = _csv(content)
        points: Array | list[list[Fraction]] = [row[:-1] for row in rows]
        width, used = len(rows[0]) - 1, _used(count, len(rows))
        labels: Sequence[Fraction | float] = [row[-1] for row in rows[:used]]
        weights = [Fraction(1, used)] * used
    else:
        arrays = read_arrays(content, ("x", "y", "weights"))
        if "x" not in arrays or "y" not in arrays:
            raise Unreadable("needs the arrays x and y")
        x, y = arrays["x"], arrays["y"]
        total = y.shape[0] if len(y.shape) == 1 else -1
        if not x.shape or x.shape[0] != total or total < 1 or y.form in "efd":
            raise Unreadable(f"x has shape {x.shape}, y {y.shape}: y must be one integer per sample")
        points, width = x, math.prod(x.shape[1:])
        mass, used = arrays.get("weights"), _used(count, total)
        if mass is not None and mass.shape != (total,):
            raise Unreadable(f"weights have shape {mass.shape}")
        labels = y.numbers(0, 1, used)
        weights = _normalised(mass.rows(0, 1, used)) if mass else [Fraction(1, used)] * used
    if any(v != int(v) or v < 0 for v in labels):
        raise Unreadable("a label is no whole number from 0")
    return Samples(points, [int(v) for v in labels], weights, width)


def _used(count: int | None, total: int) -> int:
    used = total if count is None else count
    if not 0 < used <= total:
        raise Unreadable(f"has {total} samples, not {used}")
    if used > Limits.samples:
        raise Unreadable(f"limit: {used} samples are more than {Limits.samples}")
    return used


def _normalised(weights: list[Fraction]) -> list[Fraction]:
    total = sum(weights)
    if any(v < 0 for v in weights) or not total:
        raise Unreadable("weights are negative, or all zero")
    return [v / total for v in weights]


def _cell(text: str) -> str:
    """What a cell says, perhaps in quotes; other places of quotes make other cells, or none, to other readers."""
    if '"' not in text:
        return text.strip(" \t")
    if not _QUOTED.fullmatch(text):
        raise Unreadable("the data has a quote within a cell")
    return text[1:-1].strip(" \t")


def _csv(content: bytes) -> list[list[Fraction]]:
    """Rows of numbers, each converted to float64 first; a first line in which no cell begins like a number is a header."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("is no UTF-8 text") from None
    rows: list[list[Fraction]] = []
    lines = [[_cell(c) for c in line.split(",")] for line in re.split(r"\r\n|\r|\n", text) if line.strip(" ,\t")]
    width = len(lines[0]) if lines else 0
    if lines and not any(_NUMBER.match(c) for c in lines[0]):
        lines = lines[1:]
    for line in lines:
        if not all(_DECIMAL.fullmatch(c) for c in line) or len(line) != width or width < 2:
            raise Unreadable(f"line {len(rows) + 1} of the data is no row of {width} numbers")
        values = [float(c) for c in line]
        if not all(map(math.isfinite, values)):
            raise Unreadable("a number is beyond float64")
        rows.append([Fraction(v) for v in values])
    if not rows:
        raise Unreadable("has no samples")
    return rows
