r"""The losses whose worst case is found by pricing: how each speaks about the logits, and about the price of a margin.

``phi(lambda) = max_x [l(x) - lambda ||x - x_0||^p]`` of a loss follows from what its `pricing.prices.Prices` price: for the
margin it is the price itself, for the hinge ``max(0, 1 + phi)``, because 0 is best at the sample (docs/theory.md, "Exact risk
on a box"). The cross-entropy has prices of its own (`pricing.cross_entropy`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np

from wdaverify.log_sum_exp import cross_entropies, cross_entropy_bracket
from wdaverify.losses import exact_margin, margins
from wdaverify.pricing.cross_entropy import CrossEntropyPrices
from wdaverify.transport import round_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wdaverify._types import Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion, Prices


class Pricer(Protocol):
    """Opens the prices of a margin."""

    def __call__(self, question: PriceQuestion) -> Prices:
        """What is known about the price of a question's margin; nothing is searched yet."""
        ...


def _of_margin(question: PriceQuestion, pricer: Pricer) -> Prices:
    return pricer(question)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One loss.

    Attributes
    ----------
    name
        As the command line says it.
    bracket
        Rational bounds of the loss at exact logits (K,) for a label: the two are equal where the loss is rational.
    rough
        The loss in float64 at logits (P, K) of one label, shape (P,): chooses points, proves nothing.
    ceiling
        A bound of the loss where the margin is at most the given number; the second argument is the number K of classes.
    of_price
        An upper bound of the loss's phi from one of what its prices price.
    cut
        A value of the loss in the unit of its prices.
    prices
        Opens the prices of a question, by means of those of margins.
    excess
        With K classes, the loss that is priced is at most ``max(0, m) + excess(K)``; ``None`` where the margin m is priced.
    of_margin
        Whether it is a nondecreasing 1-Lipschitz function of the margin alone.
    functional
        Its Lipschitz constant for label y is that of ``functional.format(y)``.
    """

    name: str
    bracket: Callable[[Sequence[Fraction], int], tuple[Fraction, Fraction]]
    rough: Callable[[Matrix, int], Vector]
    ceiling: Callable[[Fraction, int], Fraction]
    of_price: Callable[[Fraction], Fraction]
    cut: Callable[[float], float]
    prices: Callable[[PriceQuestion, Pricer], Prices] = _of_margin
    excess: Callable[[int], float] | None = None
    of_margin: bool = True
    functional: str

    def __reduce__(self) -> tuple[Callable[[str], Loss], tuple[str]]:
        """Losses travel between processes by name: their functions cannot."""
        return loss_named, (self.name,)


def _margin_bracket(logits: Sequence[Fraction], label: int) -> tuple[Fraction, Fraction]:
    margin, _ = exact_margin(logits, label)
    return margin, margin


def _hinge(margin: Fraction) -> Fraction:
    return max(Fraction(0), 1 + margin)


def _hinge_bracket(logits: Sequence[Fraction], label: int) -> tuple[Fraction, Fraction]:
    hinge = _hinge(exact_margin(logits, label)[0])
    return hinge, hinge


def _rough_margin(logits: Matrix, label: int) -> Vector:
    return margins(logits, np.full(len(logits), label))


MARGIN = Loss(
    name="margin",
    bracket=_margin_bracket,
    rough=_rough_margin,
    ceiling=lambda margin, _: margin,
    of_price=lambda price: price,
    cut=lambda value: value,
    functional="loss:margin:{}",
)

HINGE = Loss(
    name="hinge",
    bracket=_hinge_bracket,
    rough=lambda logits, label: np.maximum(0.0, 1.0 + _rough_margin(logits, label)),
    ceiling=lambda margin, _: _hinge(margin),
    of_price=_hinge,
    cut=lambda value: value - 1.0,
    functional="loss:hinge:{}",
)

CROSS_ENTROPY = Loss(
    name="cross-entropy",
    bracket=cross_entropy_bracket,
    rough=lambda logits, label: cross_entropies(logits, np.full(len(logits), label)),
    # no rival rises above the label by more than the margin: then the loss is at most that of K - 1 rivals at the margin
    ceiling=lambda margin, classes: cross_entropy_bracket([Fraction(0), *[margin] * (classes - 1)], 0)[1],
    of_price=lambda price: price,
    cut=lambda value: value,
    prices=CrossEntropyPrices,
    excess=lambda classes: round_up(cross_entropy_bracket([Fraction(0)] * classes, 0)[1]),
    of_margin=False,
    functional="loss:cross-entropy:{}",
)

LOSSES: dict[str, Loss] = {loss.name: loss for loss in (MARGIN, HINGE, CROSS_ENTROPY)}
"""By name. The zero-one loss is not among them: it is decided by distances."""


def loss_named(name: str) -> Loss:
    """The loss of that name in `LOSSES`."""
    return LOSSES[name]
