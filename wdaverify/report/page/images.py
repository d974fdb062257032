"""Samples as pictures: which inputs are images, and PNG files within the page."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Vector

_SMALLEST = 5
"""Side of the smallest square that a flat input is shown as; fewer features are more likely a table."""

_MORE, _LESS = np.array([213.0, 94.0, 0.0]), np.array([0.0, 114.0, 178.0])
"""Vermillion for values that grow, blue for those that shrink."""

_CHANNELS = (1, 3)

_LARGEST = 112
"""Pixels of the longer side of what is shown."""


def image_shape(shape: Sequence[int], *, named: bool = False) -> tuple[int, int, int] | None:
    """Height, width and channels of an input that is an image; the channels are those of its last axis.

    Parameters
    ----------
    shape
        Of one input. ``(H, W)``, ``(C, H, W)`` and ``(H, W, C)`` are images of one or three channels, and so is a flat square.
    named
        Whether its features have names: then it is a table.

    Examples
    --------
    >>> image_shape((1, 28, 28)), image_shape((64,)), image_shape((4,)), image_shape((32, 32, 3)), image_shape((64,), named=True)
    ((28, 28, 1), (8, 8, 1), None, (32, 32, 3), None)
    """
    axes = tuple(shape)
    while len(axes) > 3 and axes[0] == 1:
        axes = axes[1:]
    match axes:
        case _ if named:
            return None
        case (n,) | (1, n) | (n, 1) | (1, 1, n) | (n, 1, 1):
            side = math.isqrt(n)
            return (side, side, 1) if side * side == n and side >= _SMALLEST else None
        case (h, w):
            return (h, w, 1)
        case (c, h, w) if c in _CHANNELS:
            return (h, w, c)
        case (h, w, c) if c in _CHANNELS:
            return (h, w, c)
        case _:
            return None


def as_image(point: Vector, shape: Sequence[int], size: tuple[int, int, int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A point (n,) as array (H, W, C)."""
    height, width, channels = size
    first = [k for k in shape if k != 1][:1] == [channels] and channels > 1
    if first:
        return np.moveaxis(np.asarray(point).reshape(channels, height, width), 0, -1)
    return np.asarray(point).reshape(height, width, channels)


def reduction(size: tuple[int, int, int]) -> int:
    """By how much an image is made smaller: it is shown about as large as a thumb.

    >>> reduction((28, 28, 1)), reduction((224, 200, 3))
    (1, 2)
    """
    return math.ceil(max(size[:2]) / _LARGEST)


def reduced(image: np.ndarray[Any, np.dtype[np.float64]], factor: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """An image (H, W, C) whose pixels are the means of squares of so many pixels; squares at the border may be cut off."""
    height, width, channels = image.shape
    rows, columns = -(-height // factor), -(-width // factor)
    padded = np.pad(image, ((0, rows * factor - height), (0, columns * factor - width), (0, 0)), mode="edge")
    return np.asarray(padded.reshape(rows, factor, columns, factor, channels).mean(axis=(1, 3)))


def picture(image: np.ndarray[Any, np.dtype[np.float64]], low: float, high: float) -> str:
    """An image (H, W, C) as the address of a PNG, black at `low` and white at `high`."""
    span = high - low if high > low else 1.0
    return _png(np.clip(np.nan_to_num((image - low) / span), 0.0, 1.0) * 255.0)


def change_picture(change: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    """Changes (H, W, C), averaged over channels: vermillion where values grow, blue where they shrink, white where they stay."""
    mean = change.mean(axis=2, keepdims=True)
    largest = float(np.abs(mean).max()) or 1.0
    share = np.abs(mean) / largest
    return _png(255.0 * (1 - share) + np.where(mean > 0, _MORE, _LESS) * share)


def _png(values: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    """Values (H, W, 1 or 3) from 0 to 255 as a PNG (W3C, Portable Network Graphics, chapters 5 and 11)."""
    height, width, channels = values.shape
    rows = np.rint(values).astype(np.uint8).reshape(height, -1)
    # every line of an image begins with the number of its filter, here none
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()
    colour = 0 if channels == 1 else 2
    content = b"\x89PNG\r\n\x1a\n"
    for name, body in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    ):
        content += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
