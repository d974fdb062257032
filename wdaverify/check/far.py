"""Prices on unbounded domains: a cube about the sample, and why nothing outside it is worth more than what is claimed.

Let L bound the growth of the loss on the domain in the norm of the price. A point x outside the cube of half width R has
``d = ||x - x_i|| >= ||x - x_i||_inf > R``, in l1, l2 and linf alike, and it is worth

    loss(x) - lambda d^p  <=  loss(x_i) + L d - lambda d^p  =: h(d).

h is concave. Where ``h'(R) = L - p lambda R^(p-1) <= 0``, that is ``p lambda R^p >= L R``, it does not increase from R on, so
that all points outside are worth at most ``h(R) = loss(x_i) + L R - lambda R^p``. If the claimed value is no less, what remains
is the domain within the cube, a bounded box: that is what the stream is about.
"""

from __future__ import annotations

from fractions import Fraction

from .claims import Case, Claim, coefficients
from .losses import bounds_growth, loss_above
from .num import Rejected, number, power
from .tree import float_text

_FIELDS = {"radius", "lip"}


def half_width(case: Case, claim: Claim) -> Fraction:
    """R of the cube that a price names, after the check that the claimed value bounds all points of the domain outside it."""
    within, loss = claim["within"], claim["loss"]
    if type(within) is not dict or set(within) != (_FIELDS | {"at_sample"} if loss == "ce" else _FIELDS):
        raise Rejected("within has the fields radius and lip, and for the cross-entropy at_sample")
    if "ball" in claim.fields:
        raise Rejected("a price is for a ball or within a cube, not both")
    radius = number(within["radius"], "radius")
    if radius <= 0:
        raise Rejected("the cube has no positive half width")
    i = case.sample(claim["sample"])
    label = case.label(i) if loss != "linear" else 0
    objective = coefficients(case, claim["objective"]) if loss == "linear" else {}
    constant = case.earlier(within["lip"], ("lip", "all"))
    if constant.value is None or not bounds_growth(case, constant, loss, label, claim["norm"], objective):
        raise Rejected(f"claim {constant.id} does not bound the growth of this loss")
    order, multiplier = claim.number("p"), claim.number("lambda")
    # R^p rounded down only makes the two comparisons harder.
    paid, rise = multiplier * power(radius, order, up=False), constant.value * radius
    if order * paid < rise:
        raise Rejected("the loss may still grow faster than its cost outside the cube")
    outputs = case.program.output_values(list(case.center(i)))
    most = loss_above(case, loss, i, outputs, objective, within.get("at_sample")) + rise - paid
    if claim.value is None or claim.value < most:
        raise Rejected(f"the value is not proved outside the cube: {float_text(most)}")
    return radius
