"""Names of functionals, and the linear forms behind them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tests.networks import random_mlp
from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.bounds.operator_norms import lipschitz_bound
from wdaverify.functionals import LOSSES, expand_functionals, parse_functional

LOGITS = np.array([3.0, -1.0, 4.0, 1.0])


def test_rows_are_the_differences():
    assert parse_functional("logit:2", 4).rows(4) @ LOGITS == 4.0
    assert parse_functional("margin:0-3", 4).rows(4) @ LOGITS == 2.0
    for name in ("label:2", *(f"loss:{loss}:2" for loss in LOSSES)):
        assert (parse_functional(name, 4).rows(4) @ LOGITS).tolist() == [-1.0, -5.0, -3.0]
    assert [parse_functional(f"loss:{loss}:0", 2).loss for loss in LOSSES] == ["margin", "hinge", "cross-entropy"]
    assert parse_functional("label:0", 2).loss is None


def test_all_is_every_unordered_pair():
    for outputs in (2, 3, 5):
        pairs = [(f.plus, f.minus) for f in expand_functionals(["all"], outputs)]
        assert pairs == [((j,), y) for j, y in combinations(range(outputs), 2)]
    assert [f.name for f in expand_functionals(["all"], 1)] == ["logit:0"]
    assert [f.name for f in expand_functionals(["margin:1-0", "all", "margin:1-0"], 2)] == ["margin:1-0", "margin:0-1"]
    assert expand_functionals([], 3) == ()


UNKNOWN = ["loss:1", "", "label:1x", "loss:zero-one:0", "logit:-1", "loss:margin", "margin:0", "label:\u0661", "all ", "LABEL:0"]
UNKNOWN += ["logit:01", "margin:00-1", "label:01", f"logit:{'9' * 5000}", f"loss:hinge:{'1' * 5000}"]  # one name an output


@pytest.mark.parametrize("name", UNKNOWN)
def test_names_that_mean_nothing(name):
    with pytest.raises(InputError, match="is unknown; give logit:K"):
        expand_functionals([name], 3)


@pytest.mark.parametrize("name", ["label:3", "margin:1-1", "margin:3-0", "margin:0-3", "loss:margin:3", "loss:hinge:99"])
def test_outputs_that_do_not_exist(name):
    with pytest.raises(InputError, match="two different outputs among 0 to 2"):
        parse_functional(name, 3)


def test_a_label_needs_a_rival():
    for name in ("label:0", "loss:margin:0", "margin:0-0", "margin:1-0"):
        with pytest.raises(InputError, match="two different outputs and the network has one"):
            parse_functional(name, 1)
    with pytest.raises(InputError, match="an output among 0 to 2"):
        parse_functional("logit:3", 3)
    assert parse_functional("logit:0", 1).rows(1).tolist() == [[1.0]]


def test_losses_have_the_product_of_norms_of_their_label():
    network = random_mlp((3, 5, 4), 1)
    for norm in Norm:
        bounds = {lipschitz_bound(network, f"loss:{loss}:1", norm=norm) for loss in LOSSES}
        assert bounds == {lipschitz_bound(network, "label:1", norm=norm)}
