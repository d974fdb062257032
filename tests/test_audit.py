"""The auditor accepts honest plans and names every lie."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import mlp
from wdaverify._errors import AuditError
from wdaverify.dataset import Dataset
from wdaverify.domain import Box
from wdaverify.risk.audit import Auditor, power_up
from wdaverify.transport import Atom, TransportPlan, WassersteinBall

# f = (0, x0 - 3/4): label 0 errs from x0 = 3/4 on.
NETWORK = mlp([[[0.0, 0.0], [1.0, 0.0]]], [[0.0, -0.75]])
DATA = Dataset([[0.5, 0.0], [0.25, 0.5]], [0, 0])
BALL = WassersteinBall(0.125, order=1, norm="linf")


def atom(source, mass, cost, *point, label=0):
    return Atom(source=source, label=label, mass=mass, cost=cost, point=np.array(point))


# All of sample 0 moves by 1/4: expected cost 1/8, exactly the budget.
HONEST = (atom(0, 0.5, 0.25, 0.75, 0.0), atom(1, 0.5, 0.0, 0.25, 0.5))


def check(atoms, lower=0.5, ball=BALL):
    return Auditor(NETWORK, DATA, Box(0, 1)).check(TransportPlan(tuple(atoms), ball.order), ball, lower=lower)


def test_an_honest_plan_at_the_very_edge_of_the_budget_passes():
    assert check(HONEST) == Fraction(1, 2)


@pytest.mark.parametrize(
    ("atoms", "words"),
    [
        ([dataclasses.replace(HONEST[0], label=1), HONEST[1]], "has label 1"),
        ([dataclasses.replace(HONEST[0], source=2), HONEST[1]], "sample 2, which does not exist"),
        ([dataclasses.replace(HONEST[0], mass=0.4), HONEST[1]], "sample 0 have mass 0.4"),
        ([dataclasses.replace(HONEST[0], mass=math.nan), HONEST[1]], "mass nan"),
        ([dataclasses.replace(HONEST[0], mass=-0.5), HONEST[1]], "mass -0.5"),
        ([dataclasses.replace(HONEST[0], cost=0.2), HONEST[1]], "reports cost 0.2"),
        ([dataclasses.replace(HONEST[0], cost=math.inf), HONEST[1]], "reports cost inf"),
        ([atom(0, 0.5, 0.75, 1.25, 0.0), HONEST[1]], "outside the domain"),
        ([atom(0, 0.5, math.nan, math.nan, 0.0), HONEST[1]], "outside the domain"),
        ([HONEST[0], atom(1, 0.5, 2.0**-52, 0.25, 0.5 + 2.0**-52)], "of the budget"),
        ([atom(0, 0.5, 0.0, 0.5, 0.0), HONEST[1]], "expected zero-one loss of 0.0"),
        ([atom(0, 0.5, 0.25 - 2.0**-54, 0.75 - 2.0**-53, 0.0), HONEST[1]], "expected zero-one loss of 0.0"),
    ],
)
def test_lies_are_named(atoms, words):
    with pytest.raises(AuditError, match=words):
        check(atoms)


def test_order_inf_and_radius_zero_bound_every_atom():
    wide = WassersteinBall(0.25, order=math.inf)
    assert check(HONEST, ball=wide) == Fraction(1, 2)
    with pytest.raises(AuditError, match="farther than the radius"):
        check(HONEST, ball=WassersteinBall(0.2499, order=math.inf))
    with pytest.raises(AuditError, match="farther than the radius"):
        check(HONEST, ball=WassersteinBall(0.0))
    still = (atom(0, 0.5, 0.0, 0.5, 0.0), HONEST[1])
    assert check(still, lower=0.0, ball=WassersteinBall(0.0)) == 0


def test_l2_costs_are_compared_by_their_squares():
    moved = atom(0, 0.5, math.hypot(0.25, 0.1), 0.75, 0.1)
    spent = 0.5 * math.hypot(0.25, 0.1)
    assert check((moved, HONEST[1]), ball=WassersteinBall(spent * (1 + 1e-12), norm="l2")) == Fraction(1, 2)
    with pytest.raises(AuditError, match="of the budget"):
        check((moved, HONEST[1]), ball=WassersteinBall(spent * (1 - 1e-12), norm="l2"))


@settings(deadline=None)
@given(st.fractions(min_value=Fraction(1, 1000), max_value=1000), st.floats(0.5, 300.0))
def test_powers_are_upper_bounds_and_tight(base, exponent):
    value = power_up(base, exponent)
    with mpmath.workdps(700):
        true = (mpmath.mpf(base.numerator) / base.denominator) ** mpmath.mpf(exponent)
        ratio = mpmath.mpf(value.numerator) / value.denominator / true
        assert 1 - mpmath.mpf(10) ** -690 <= ratio <= 1 + mpmath.mpf(10) ** -500


def test_powers_beyond_the_range():
    assert power_up(Fraction(2), 1e300) is None
    assert power_up(Fraction(0), 3.0) == 0
    assert 0 < power_up(Fraction(1, 2), 1e300) <= Fraction(1, 1 << 65536)
    assert power_up(Fraction(1), 1e300) == 1
