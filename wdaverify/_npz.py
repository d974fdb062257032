"""Read arrays from `.npz` files of unknown origin.

An `.npz` is a zip of `.npy` members. Nothing in it is trusted: pickles are never loaded, and the size that every header
declares is compared with the size of its member, and with a limit, before any memory is taken.
"""

from __future__ import annotations

import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from wdaverify._errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_BYTES = 4 << 30
"""Largest total size of the arrays of one file: beyond any data set that exact methods can answer about."""

SMALL_BYTES = 64 << 20
"""Arrays up to this size, as float64, may be compressed as much as they like (a constant image is)."""

MAX_RATIO = 200
"""Largest ratio of a larger array, as float64, to its compressed size; real data stays far below, zip bombs reach 8000."""

_NUMBER = 8
"""Bytes of a float64, which numbers of other types become."""

_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_LONGEST = 200
"""Characters of another library's message."""

_NUMERIC_KINDS = "biuf"


def read_arrays(path: Path, *, required: Sequence[str] = (), optional: Sequence[str] = ()) -> dict[str, np.ndarray[Any, Any]]:
    """Read the named numeric arrays of an `.npz` file.

    Parameters
    ----------
    path
        The file.
    required, optional
        Names of arrays; a missing required one is an error. Other members are not touched.

    Returns
    -------
    dict
        The arrays that were asked for and are there. Kinds are bool, integer and float.

    Raises
    ------
    DataError
        If the file is missing or no zip, a required array is missing or there twice, holds objects (a pickle) or is not
        numeric, a header lies about its size, or the arrays are too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _wanted_members(archive, path, required, optional)
            return {name: _read_member(archive, member, f"{path}: array '{name}'") for name, member in members.items()}
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, UnicodeDecodeError) as error:
        # RuntimeError: an encrypted member. UnicodeDecodeError: a name.
        raise DataError(f"{path}: not a sound .npz (zip) file: {_one_line(error)}") from None


def _wanted_members(
    archive: zipfile.ZipFile, path: Path, required: Sequence[str], optional: Sequence[str]
) -> dict[str, zipfile.ZipInfo]:
    """The zip members of the wanted arrays, after a check of their declared sizes."""
    present: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()  # with those of no ending, which some readers take first
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in seen and name in (*required, *optional):
            raise DataError(f"{path}: array '{name}' is there twice; which one counts is not defined")
        seen.add(name)
        if name != info.filename:
            present[name] = info
    for name in required:
        if name not in present:
            raise DataError(f"{path}: no array '{name}'; found {', '.join(sorted(present)[:20]) or 'no arrays'}")
    members = {name: present[name] for name in (*required, *optional) if name in present}
    total = sum(member.file_size for member in members.values())
    if total > MAX_BYTES:
        raise DataError(f"{path}: declares {total} bytes of arrays, more than the limit of {MAX_BYTES}")
    for name, member in members.items():
        if member.compress_type not in _PACKINGS:
            raise DataError(f"{path}: array '{name}' is packed by method {member.compress_type}; numpy's savez_compressed uses 8")
        if member.file_size > max(SMALL_BYTES, MAX_RATIO * member.compress_size):
            raise DataError(f"{path}: array '{name}' is compressed {member.file_size} : {member.compress_size}, like a zip bomb")
    return members


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> np.ndarray[Any, Any]:
    """One array, its header checked before its data is read."""
    try:
        with warnings.catch_warnings(), archive.open(member) as stream:
            warnings.simplefilter("ignore", UserWarning)  # about headers that Python 2 wrote
            shape, dtype = _read_header(stream, where)
            body = member.file_size - stream.tell()
        if dtype.hasobject:
            raise DataError(f"{where} holds Python objects (a pickle), which are never loaded; store numbers")
        if dtype.kind not in _NUMERIC_KINDS:
            raise DataError(f"{where} has dtype {dtype}, not numbers")
        if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != body:
            raise DataError(f"{where} has {body} bytes, but its header declares shape {shape} of {dtype}")
        if _NUMBER * math.prod(shape) > max(SMALL_BYTES, MAX_RATIO * member.compress_size):
            raise DataError(f"{where} holds {math.prod(shape)} numbers in {member.compress_size} bytes, like a zip bomb")
        with warnings.catch_warnings(), archive.open(member) as stream:
            warnings.simplefilter("ignore", UserWarning)
            return np.asarray(npy.read_array(stream, allow_pickle=False))
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where} is not a sound .npy array: {_one_line(error)}") from None


def _read_header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype that a `.npy` stream declares."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{where} has .npy version {version}, which only structured arrays need")
    try:
        shape, _, dtype = npy.read_array_header_1_0(stream) if version == (1, 0) else npy.read_array_header_2_0(stream)
    except (tokenize.TokenError, MemoryError, RecursionError):  # the two latter: brackets nested too deeply for Python's parser
        raise DataError(f"{where} has a header that is no .npy header") from None
    if any(isinstance(size, bool) for size in shape):
        raise DataError(f"{where} has a header with shape {shape}")
    return shape, dtype


def _one_line(error: BaseException) -> str:
    """The first line of a message that another library wrote."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:_LONGEST]
