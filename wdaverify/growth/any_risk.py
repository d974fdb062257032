"""How fast any risk can grow: what Lipschitz constants say without data (docs/theory.md, "Certificates").

Margin, hinge and cross-entropy of label y are ``label:y``-Lipschitz on a convex domain, and ``W_1 <= W_p`` for every order p. So
no distribution on the domain within Wasserstein distance r of the data has an expected loss of more than that of the data plus r
times the largest constant of its labels. With one output and no label, the same holds for the output itself, up and down.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.domain import Box
    from wdaverify.growth.record import LipschitzConstant

_DIGITS = 9
"""Significant digits of printed bounds."""


def growth_functionals(outputs: int) -> list[str]:
    """The functionals whose constants bound the growth of any risk: one per label, or the only output.

    >>> growth_functionals(1), growth_functionals(3)
    (['logit:0'], ['label:0', 'label:1', 'label:2'])
    """
    return ["logit:0"] if outputs == 1 else [f"label:{y}" for y in range(outputs)]


def growth_sentence(constants: Sequence[LipschitzConstant], domain: Box) -> str:
    """What the constants of `growth_functionals`, of one norm, say about every distribution and every order."""
    rate = printed_up(max(constant.value.upper for constant in constants))
    norm = constants[0].norm
    subject = "moves the expected output" if constants[0].functional == "logit:0" else "raises the expected loss"
    losses = "" if constants[0].functional == "logit:0" else "margin, hinge or cross-entropy loss, "
    return (
        f"no distribution within W_p distance r {subject} by more than {rate} * r "
        f"({losses}any order p >= 1, {norm} ground cost, domain {domain})"
    )


def printed_up(value: float) -> str:
    """A number with 9 significant digits that is not below the value.

    >>> printed_up(1 / 3), printed_up(2.0), printed_up(float("inf"))
    ('0.333333334', '2', 'inf')
    """
    if value == float("inf"):
        return "inf"
    rounded = Context(prec=_DIGITS, rounding=ROUND_CEILING).plus(Decimal(value))
    return f"{rounded.normalize():g}" if rounded else "0"
