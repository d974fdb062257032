"""Brackets of the cross-entropy: against a second computation with many digits, and at logits of every size."""

from __future__ import annotations

import decimal
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wdaverify.log_sum_exp import cross_entropies, cross_entropy_bracket

LOGITS = st.lists(st.floats(-500, 500, allow_subnormal=False), min_size=1, max_size=10)


def with_digits(logits, label, digits=700):
    """``log sum exp(f_j - f_y)`` term by term, without a shift, in so many digits that small losses survive."""
    with decimal.localcontext() as context:
        context.prec, context.Emax, context.Emin = digits, decimal.MAX_EMAX, decimal.MIN_EMIN
        own = decimal.Decimal(logits[label])
        total = sum((decimal.Decimal(value) - own).exp() for value in logits)
        return Fraction(total.ln())


@settings(max_examples=30, deadline=None)
@given(LOGITS, st.data())
def test_brackets_hold_the_value_of_another_computation(logits, data):
    label = data.draw(st.integers(0, len(logits) - 1))
    low, high = cross_entropy_bracket([Fraction(v) for v in logits], label)
    value = with_digits(logits, label)
    slack = Fraction(1, 10**200) * (1 + value)
    assert low - slack <= value <= high + slack
    assert 0 <= low <= high
    assert high - low <= Fraction(1, 10**25) * high


@settings(max_examples=40, deadline=None)
@given(LOGITS, st.data(), st.fractions(min_value=-(10**40), max_value=10**40))
def test_a_common_shift_changes_nothing(logits, data, shift):
    label = data.draw(st.integers(0, len(logits) - 1))
    exact = [Fraction(v) for v in logits]
    assert cross_entropy_bracket(exact, label) == cross_entropy_bracket([v + shift for v in exact], label)


@pytest.mark.parametrize("size", [Fraction(10) ** 6, Fraction(10) ** 300, Fraction(10**5000 + 1, 3), Fraction(7, 10**5000)])
def test_logits_of_any_size(size):
    low, high = cross_entropy_bracket([size, Fraction(0), -size], 2)
    assert 2 * size <= low <= high <= 2 * size + Fraction(11, 10)
    assert high - low <= Fraction(1, 10**25) * high
    low, high = cross_entropy_bracket([size, Fraction(0), -size], 0)
    assert 0 <= low <= high <= Fraction(11, 10)


def test_a_loss_below_every_float_is_bracketed_by_zero():
    low, high = cross_entropy_bracket([Fraction(10**300), Fraction(0)], 0)
    assert low == 0 < high < Fraction(5e-324)


def test_one_class_has_no_loss():
    assert cross_entropy_bracket([Fraction(1, 3)], 0) == (0, 0)


def test_equal_logits_have_the_logarithm_of_their_number():
    low, high = cross_entropy_bracket([Fraction(10**400, 7)] * 10, 4)
    assert float(low) == float(high) == math.log(10)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=10), st.data())
def test_float_losses_are_close(logits, data):
    label = data.draw(st.integers(0, len(logits) - 1))
    found = float(cross_entropies(np.array([logits]), np.array([label]))[0])
    low, _ = cross_entropy_bracket([Fraction(v) for v in logits], label)
    # a rounded difference of logits moves a small loss by a relative error of that size
    assert found == pytest.approx(float(low), rel=1e-9, abs=1e-300)
