"""Random numbers that belong to a sample, not to a batch: the same on every device and for every batch size.

A number is a hash of (seed, stream, content of the sample, position), mixed as in SplitMix64 (Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", OOPSLA 2014), in integers that wrap around. There is no state, so nothing depends on
what was drawn before or beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

    from wdaverify._types import IntArray, Matrix

_GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)


def content_keys(samples: Matrix) -> IntArray:
    """A 64-bit key of the content of each sample (N, n); 0 and -0 count as equal."""
    bits = torch.from_numpy(np.ascontiguousarray(samples + 0.0).view(np.int64))
    places = _mix(torch.arange(1, bits.shape[1] + 1) * _GAMMA)
    return np.asarray(_mix(_mix(bits ^ places).sum(1)).numpy(), dtype=np.int64)


def uniform(keys: Tensor, count: int, *, seed: int, stream: int = 0) -> Tensor:
    """Numbers in [0, 1), float64 of shape (R, count), for keys (R,).

    Parameters
    ----------
    stream
        Not negative; other streams of the same seed give independent numbers.

    Examples
    --------
    >>> keys = torch.tensor([7, 8])
    >>> both, alone = uniform(keys, 3, seed=1), uniform(keys[1:], 3, seed=1)
    >>> torch.equal(both[1:], alone), bool(((0 <= both) & (both < 1)).all())
    (True, True)
    """
    device = keys.device
    salt = _mix(_mix(torch.tensor(seed) * _GAMMA + 1) ^ stream)  # one number, on the CPU: a GPU need not wait for it
    positions = torch.arange(1, count + 1, device=device) * _GAMMA
    bits = _mix(_mix(keys ^ salt)[:, None] + positions)
    return _logical_shift(bits, 11).to(torch.float64) * 2.0**-53


def _mix(z: Tensor) -> Tensor:
    """The finaliser of SplitMix64, on int64 as on uint64."""
    z = (z ^ _logical_shift(z, 30)) * _FIRST
    z = (z ^ _logical_shift(z, 27)) * _SECOND
    return z ^ _logical_shift(z, 31)


def _logical_shift(z: Tensor, places: int) -> Tensor:
    """Shift right without the sign."""
    return (z >> places) & ((1 << (64 - places)) - 1)
