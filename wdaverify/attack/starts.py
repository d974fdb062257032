"""Where the walks of a nearest-point attack begin."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Matrix, Norm, Vector
    from wdaverify.domain import Box


SCOUTS = 32
"""Random points per sample among which a start is chosen."""


def random_fractions(samples: Matrix, *, restart: int, seed: int) -> Matrix:
    """Numbers in [0, 1) of shape (N, SCOUTS, n) that depend on seed, restart and sample, but not on the other samples."""
    drawn = np.empty((len(samples), SCOUTS, samples.shape[1]))
    for k, sample in enumerate(samples):
        drawn[k] = np.random.default_rng([seed, restart, zlib.crc32(sample.tobytes())]).random(drawn.shape[1:])
    return drawn


def spread(samples: Matrix, fractions: Matrix, box: Box) -> Matrix:
    """Random points of the domain (N, SCOUTS, n): uniform between finite ends, Cauchy about the sample where one is missing.

    The heavy tail of ``x + (1 + |x|) tan(pi (u - 1/2))`` reaches every scale.
    """
    finite = np.isfinite(box.lower) & np.isfinite(box.upper)
    lower, upper = np.where(finite, box.lower, 0.0), np.where(finite, box.upper, 0.0)
    centers = samples[:, None, :]
    cauchy = centers + (1.0 + np.abs(centers)) * np.tan(np.pi * (fractions - 0.5))
    return np.asarray(box.clip(np.where(finite, lower + fractions * (upper - lower), cauchy)))


def most_promising(margins: Matrix, distances: Matrix) -> IntArray:
    """Per row of (R, SCOUTS) the nearest point with margin at least 0, or the one of largest margin if there is none."""
    hit = margins >= 0
    nearest = np.where(hit, distances, np.inf).argmin(axis=1)
    return np.asarray(np.where(hit.any(axis=1), nearest, margins.argmax(axis=1)), dtype=np.int64)


def around(samples: Matrix, fractions: Matrix, distances: Vector, norm: Norm) -> Matrix:
    """Points (R, n) exactly `distances` (R,) away from the samples, in random directions."""
    direction = 2.0 * fractions - 1.0
    length = np.linalg.norm(direction, ord=norm.order, axis=1, keepdims=True)
    return np.asarray(samples + direction * (distances[:, None] / np.maximum(length, np.finfo(np.float64).tiny)))
