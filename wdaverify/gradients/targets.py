"""The forms and norms of several questions, each pair once: what one tree bounds at every node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, Norm
    from wdaverify.gradients.question import GradientQuestion


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Distinct pairs of a form and a norm, and the questions whose maximum each enters.

    Norms are even, so that a form and its negative are one.

    Attributes
    ----------
    forms
        Shape (F, K).
    form, norms
        The form (P,) and the norm of each pair.
    uses
        Shape (Q, P), whether a question's maximum runs over a pair.
    rows
        Shape (Q, P), the number of the pair's form among the question's rows; -1 elsewhere.
    """

    forms: Matrix
    form: IntArray
    norms: tuple[Norm, ...]
    uses: BoolArray
    rows: IntArray

    @staticmethod
    def of(questions: Sequence[GradientQuestion]) -> Targets:
        """Collect the pairs in order of their first use.

        Examples
        --------
        >>> from wdaverify._types import Norm
        >>> from wdaverify.gradients.question import GradientQuestion
        >>> one = np.array([[1.0, -1.0]])
        >>> targets = Targets.of([GradientQuestion(one, Norm.L1), GradientQuestion(np.vstack([-one, [[1.0, 0.0]]]), Norm.L1)])
        >>> targets.forms.tolist(), targets.uses.astype(int).tolist(), targets.rows.tolist()
        ([[1.0, -1.0], [1.0, 0.0]], [[1, 0], [1, 1]], [[0, -1], [0, 1]])
        """
        forms: dict[tuple[float, ...], int] = {}
        pairs: dict[tuple[int, Norm], int] = {}
        places: list[tuple[int, int, int]] = []
        for q, question in enumerate(questions):
            for r, row in enumerate(question.rows.tolist()):
                lead = next((v for v in row if v != 0.0), 1.0)
                form = forms.setdefault(tuple(v if lead > 0 else -v for v in row), len(forms))
                places.append((q, pairs.setdefault((form, question.norm), len(pairs)), r))
        uses, rows = np.zeros((len(questions), len(pairs)), dtype=bool), np.full((len(questions), len(pairs)), -1)
        for q, p, r in reversed(places):
            uses[q, p], rows[q, p] = True, r
        matrix = np.array(list(forms), dtype=np.float64) + 0.0  # no negative zeros
        return Targets(matrix, np.array([f for f, _ in pairs]), tuple(n for _, n in pairs), uses, rows)
