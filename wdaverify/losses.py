"""Losses as functions of the logits.

``m(x, y) = max_{j != y} f_j(x) - f_y(x)`` is the margin; the zero-one loss is 1 where ``m >= 0``: a tie is an error
(docs/theory.md, "Setting"). Sums and comparisons of the exact variant are rational, so a tie is a tie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from wdaverify._types import IntArray, Matrix, Vector


def margins(logits: Matrix, labels: IntArray) -> Vector:
    """The float64 margins (N,) of logits (N, K) for labels (N,).

    Examples
    --------
    >>> margins(np.array([[1.0, 3.0, 2.0]]), np.array([1])).tolist()
    [-1.0]
    """
    rows = np.arange(len(labels))
    rivals = logits.copy()
    rivals[rows, labels] = -np.inf
    return np.asarray(rivals.max(axis=1) - logits[rows, labels])


def exact_margin(logits: Sequence[Fraction], label: int) -> tuple[Fraction, int]:
    """The exact margin and the class that attains it (the lowest index among equals).

    Examples
    --------
    >>> from fractions import Fraction
    >>> exact_margin([Fraction(1), Fraction(1, 3), Fraction(1)], 0)
    (Fraction(0, 1), 2)
    """
    rival = max((j for j in range(len(logits)) if j != label), key=lambda j: (logits[j], -j))
    return logits[rival] - logits[label], rival
