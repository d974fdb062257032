"""The real functions of the logits whose Lipschitz constants and slopes are asked for.

Every one of them is bounded by its linear forms ``c^T f`` (`Functional.rows`): the constant of ``label:Y`` is the largest of
those of ``f_J - f_Y``, and the losses of label Y are ``label:Y``-Lipschitz (docs/theory.md, "Lipschitz constants"); their own
constants may be smaller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Matrix

LOSSES = ("margin", "hinge", "cross-entropy")
"""The Lipschitz losses: ``m = max_{j != y} f_j - f_y``, ``max(0, 1 + m)``, ``log sum_j exp(f_j - f_y)``."""

ALL = "all"
"""Stands for every unordered margin pair."""

_INDEX = "(0|[1-9][0-9]{0,8})"
"""Every output has one name, and it is short enough to be a number."""


@dataclass(frozen=True, slots=True)
class Functional:
    """A real function of the logits.

    Attributes
    ----------
    name
        ``logit:K``, ``margin:J-Y``, ``label:Y`` or ``loss:KIND:Y``.
    plus
        Indices J of which the largest ``f_J - f_minus`` counts.
    minus
        The index subtracted; ``None`` for a single logit.
    loss
        One of `LOSSES`; ``None`` for functionals that are maxima of linear forms.
    """

    name: str
    plus: tuple[int, ...]
    minus: int | None = None
    loss: str | None = None

    def rows(self, outputs: int) -> Matrix:
        """The linear forms (R, K) of K = `outputs` logits: ``f_J - f_minus`` for every J, or the logit itself.

        Examples
        --------
        >>> parse_functional("label:1", 3).rows(3).tolist()
        [[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]]
        """
        forms = np.zeros((len(self.plus), outputs))
        forms[np.arange(len(self.plus)), list(self.plus)] = 1.0
        if self.minus is not None:
            forms[:, self.minus] -= 1.0
        return forms


def parse_functional(name: str, outputs: int) -> Functional:
    """Read a functional of a network with `outputs` outputs.

    Raises
    ------
    InputError
        If the name is none of ``logit:K``, ``margin:J-Y``, ``label:Y``, ``loss:margin:Y``, ``loss:hinge:Y``,
        ``loss:cross-entropy:Y``, or an index does not exist.

    Examples
    --------
    >>> parse_functional("label:1", 3).plus
    (0, 2)
    >>> parse_functional("loss:hinge:0", 2)
    Functional(name='loss:hinge:0', plus=(1,), minus=0, loss='hinge')
    """
    if match := re.fullmatch(rf"logit:{_INDEX}", name):
        functional = Functional(name, (int(match[1]),))
    elif match := re.fullmatch(rf"margin:{_INDEX}-{_INDEX}", name):
        functional = Functional(name, (int(match[1]),), int(match[2]))
    elif match := re.fullmatch(rf"(?:label|loss:({'|'.join(LOSSES)})):{_INDEX}", name):
        label = int(match[2])
        functional = Functional(name, tuple(j for j in range(outputs) if j != label), label, match[1])
    else:
        forms = ["logit:K", "margin:J-Y", "label:Y", *(f"loss:{loss}:Y" for loss in LOSSES)]
        raise InputError(f"functional '{name}' is unknown; give {', '.join(forms)}, or {ALL}")
    used = [*functional.plus, *([] if functional.minus is None else [functional.minus])]
    if functional.minus is None and max(used) >= outputs:
        raise InputError(f"functional '{name}' needs an output among 0 to {outputs - 1}")
    if not functional.plus or functional.minus in functional.plus or max(used) >= outputs:
        there = "and the network has one" if outputs == 1 else f"among 0 to {outputs - 1}"
        raise InputError(f"functional '{name}' needs two different outputs {there}")
    return functional


def expand_functionals(names: Sequence[str], outputs: int) -> tuple[Functional, ...]:
    """Read several functionals; ``all`` is every unordered margin pair, or ``logit:0`` if there is one output.

    The constants of ``margin:J-Y`` and ``margin:Y-J`` are equal, so that pairs are given with J < Y. What is named twice
    comes once, in the place of the first.

    Raises
    ------
    InputError
        As `parse_functional`.

    Examples
    --------
    >>> [functional.name for functional in expand_functionals(["label:1", "all"], 3)]
    ['label:1', 'margin:0-1', 'margin:0-2', 'margin:1-2']
    """
    pairs = [f"margin:{j}-{y}" for j, y in combinations(range(outputs), 2)] or ["logit:0"]
    wanted = dict.fromkeys(name for given in names for name in (pairs if given == ALL else [given]))
    return tuple(parse_functional(name, outputs) for name in wanted)
