"""Lipschitz constants from Python: against enumeration, the theory's inequalities, limits and refusals."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests import oracles
from tests.networks import mlp, random_mlp
from tests.strategies import degenerate_networks, small_networks
from wdaverify._errors import DomainError, InputError
from wdaverify._types import Norm
from wdaverify.bounds.operator_norms import lipschitz_bound
from wdaverify.bracket import Bracket, Evidence
from wdaverify.gradients.question import GradientAnswer
from wdaverify.growth import constants, methods
from wdaverify.growth.any_risk import growth_sentence, printed_up
from wdaverify.growth.exactness import Exactness, compare, sentences
from wdaverify.growth.record import Interrupted
from wdaverify.ir.pattern import jacobian, pattern_at
from wdaverify.search.result import End

SQUARE = wv.Box(-1, 1)
EVERYWHERE = wv.Box.whole_space()
NORMS = ["linf", "l2", "l1"]


def dual(gradient, norm: str) -> float:
    return float(np.linalg.norm(gradient, ord=wv.Norm(norm).dual.order))


def margin_constant(cells, label: int, norm: str, floor: float = -math.inf) -> float:
    """By enumeration: over the parts of cells where one rival is the best one, and the margin is at least `floor`."""
    best = 0.0
    rivals = [j for j in range(3) if j != label]
    for cell in cells:
        for j in rivals:
            if dual(cell.slope[j] - cell.slope[label], norm) <= best:
                continue
            rows, sides = [cell.rows], [cell.sides]
            for k in rivals:
                rows.append((cell.slope[k] - cell.slope[j])[None])
                sides.append(cell.offset[[j]] - cell.offset[[k]])
            rows.append((cell.slope[label] - cell.slope[j])[None])
            sides.append(np.minimum(cell.offset[[j]] - cell.offset[[label]] - floor, 1e9))
            stacked, ends = np.vstack(rows), np.concatenate(sides)
            keep = np.linalg.norm(stacked, axis=1) > 1e-12
            if (ends[~keep] < 0).any():
                continue
            if oracles._ball(stacked[keep], ends[keep]) is not None:
                best = dual(cell.slope[j] - cell.slope[label], norm)
    return best


@settings(max_examples=10, deadline=None)
@given(network=small_networks())
def test_labels_pairs_and_logits_against_enumeration(network):
    names = ["label:1", "all", "logit:2"]
    found = wv.lipschitz_constants(network, names, domain=SQUARE, norms=NORMS)
    assert [c.functional for c in found[::3]] == ["label:1", "margin:0-1", "margin:0-2", "margin:1-2", "logit:2"]
    forms = {
        "label:1": [[1, -1, 0], [0, -1, 1]], "margin:0-1": [[1, -1, 0]], "margin:0-2": [[1, 0, -1]],
        "margin:1-2": [[0, 1, -1]], "logit:2": [[0, 0, 1]],
    }  # fmt: skip
    cells = list(oracles.enumerate_cells(network, SQUARE))
    for constant in found:
        rows = np.array(forms[constant.functional], dtype=float)
        truth = max(dual(row @ cell.slope, constant.norm) for cell in cells for row in rows)
        assert constant.value.lower == pytest.approx(truth, rel=1e-9, abs=1e-12)
        assert constant.value.upper == pytest.approx(truth, rel=1e-9, abs=1e-12)
        assert constant.value.evidence is Evidence.CHECKED
        if constant.point is None:
            assert constant.value.upper <= 1e-12  # a network that nothing moves
            continue
        there = rows @ jacobian(network, pattern_at(network, constant.point))
        assert max(dual(g, constant.norm) for g in there) == pytest.approx(constant.value.lower, rel=1e-12)
        assert max(dual(g, constant.norm) for g in rows @ constant.cell.weight) == pytest.approx(constant.value.lower, rel=1e-12)


@settings(max_examples=8, deadline=None)
@given(network=degenerate_networks(), norm=st.sampled_from(["linf", "l1"]), engine=st.sampled_from(["search", "milp"]))
def test_faces_do_not_count(network, norm, engine):
    rows = np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    truth = max(dual(row @ cell.slope, norm) for cell in oracles.enumerate_cells(network, SQUARE) for row in rows)
    found = wv.lipschitz(network, "label:0", domain=SQUARE, norm=norm, engine=engine)
    assert found.lower == pytest.approx(truth, abs=1e-12)
    assert found.upper == pytest.approx(truth, abs=1e-6)


@settings(max_examples=6, deadline=None)
@given(network=small_networks(), label=st.integers(0, 2), norm=st.sampled_from(["linf", "l1"]))
def test_losses_have_their_own_smaller_constants(network, label, norm):
    names = [f"label:{label}", f"loss:margin:{label}", f"loss:hinge:{label}"]
    whole, margin, hinge = wv.lipschitz_constants(network, names, domain=SQUARE, norms=[norm])
    assert margin.value.lower <= whole.value.upper
    assert hinge.value.lower <= margin.value.upper
    cells = list(oracles.enumerate_cells(network, SQUARE))
    assert margin.value.lower == pytest.approx(margin_constant(cells, label, norm), rel=1e-9, abs=1e-12)
    assert hinge.value.lower == pytest.approx(margin_constant(cells, label, norm, floor=-1.0), rel=1e-9, abs=1e-12)
    assert margin.value.exact
    assert hinge.value.exact


@settings(max_examples=6, deadline=None)
@given(network=small_networks(), norm=st.sampled_from(NORMS))
def test_constants_grow_with_the_domain_and_bound_the_slope(network, norm):
    domains = [wv.Box(-0.25, 0.5), SQUARE, wv.Box(-1000, 1000), EVERYWHERE]
    small, square, large, whole = (wv.lipschitz(network, "label:0", domain=domain, norm=norm) for domain in domains)
    assert small.value.lower <= square.value.upper
    assert square.value.lower <= large.value.upper
    assert large.value.lower <= whole.value.upper
    assert whole.slope.value.lower <= whole.value.upper
    assert large.slope is None
    if whole.point is not None:
        rows = np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]]) @ jacobian(network, pattern_at(network, whole.point))
        assert max(dual(g, norm) for g in rows) == pytest.approx(whole.value.lower, rel=1e-9)


@settings(max_examples=5, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 999), norm=st.sampled_from(NORMS))
def test_no_pair_of_points_is_steeper(network, seed, norm):
    constant = wv.lipschitz(network, "margin:0-2", domain=SQUARE, norm=norm)
    x, y = np.random.default_rng(seed).uniform(-1, 1, (2, 2000, 2))
    y = np.clip(x + 0.01 * (y - x), -1, 1)
    change = (network.compiled.forward(x) - network.compiled.forward(y)) @ [1.0, 0.0, -1.0]
    moved = np.linalg.norm(x - y, axis=1, ord=wv.Norm(norm).order)
    assert (np.abs(change) <= constant.value.upper * moved * (1 + 1e-9) + 1e-12).all()


def test_the_two_engines_agree_and_cbc_runs_the_second():
    network = random_mlp([2, 6, 5, 3], 8)
    found = {
        (engine, solver): wv.lipschitz(network, "label:2", domain=SQUARE, engine=engine, solver=solver).value
        for engine, solver in [("search", "highs"), ("milp", "highs"), (None, "cbc")]
    }
    assert len({value.lower for value in found.values()}) == 1
    assert [value.evidence for value in found.values()] == [Evidence.CHECKED, Evidence.SOLVER, Evidence.SOLVER]
    assert all(value.exact for value in found.values())


def test_a_domain_of_one_point_and_a_fixed_coordinate():
    network = mlp([[[1.0, 2.0], [-1.0, 1.0]], [[1.0, 1.0], [0.0, 1.0]]], [np.zeros(2), np.zeros(2)])
    point = wv.lipschitz(network, "label:0", domain=wv.Box([0.5, 0.5], [0.5, 0.5]))
    assert (point.value.lower, point.value.upper, point.point.tolist()) == (0.0, 0.0, [0.5, 0.5])
    line = wv.lipschitz(network, "logit:0", domain=wv.Box([0.5, -1.0], [0.5, 1.0]))
    assert (line.value.lower, line.value.upper) == (
        3.0,
        pytest.approx(3.0, abs=1e-9),
    )  # d/dx1 of relu(x0 + 2 x1) + relu(x1 - x0) beyond x1 = 1/2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"functional": "label:3"}, "label:3"),
        ({"functional": "label"}, "unknown"),
        ({"functional": "loss:cross-entropy:0", "engine": "milp"}, "not piecewise linear: engine milp has no program"),
        ({"functional": "loss:cross-entropy:0", "solver": "cbc"}, "engine milp has no program"),
        ({"functional": "all"}, "stands for 3"),
        ({"functional": "label:0", "norm": "l3"}, "norm 'l3' is unknown"),
        ({"functional": "label:0", "engine": "oracle"}, "engine 'oracle' is unknown"),
        ({"functional": "label:0", "time_limit": 0}, "time_limit 0 is not"),
        ({"functional": "label:0", "gap": -1}, "gap -1 is not"),
        ({"functional": "label:0", "seed": 1.5}, "seed 1.5 is not"),
    ],
)
def test_refusals(arguments, words):
    with pytest.raises(InputError, match=words):
        wv.lipschitz(random_mlp([2, 3, 3], 0), **arguments)


@pytest.mark.parametrize("domain", [wv.Box(0, np.inf), wv.Box([0, -np.inf], [1, np.inf]), wv.Box(-np.inf, 0)])
def test_half_bounded_domains_are_refused(domain):
    with pytest.raises(DomainError, match=r"neither bounded nor all of R\^n: coordinate [01]"):
        wv.lipschitz(random_mlp([2, 3, 3], 0), "label:0", domain=domain)


def test_a_time_limit_leaves_brackets():
    network = random_mlp([5, 24, 24, 3], 3)
    for domain in (SQUARE, EVERYWHERE):
        found = wv.lipschitz_constants(
            network, ["label:0", "loss:margin:1"], domain=domain, norms=NORMS, options=wv.LipschitzOptions(time_limit=0.5)
        )
        for constant in found:
            rows = np.array([[-1.0, 1.0, 0.0]]) @ jacobian(network, pattern_at(network, np.zeros(5)))
            assert 0.0 <= constant.value.lower <= constant.value.upper < math.inf
            assert (constant.slope is None) == domain.bounded
            if constant.functional == "label:0":
                assert constant.value.upper >= dual(rows[0], constant.norm)


def test_ctrl_c_keeps_what_was_found(monkeypatch):
    network, calls = random_mlp([2, 4, 3], 1), []

    def oracle(backend, network, box, questions, **_):
        calls.append(len(questions))
        if len(calls) == 2:
            raise KeyboardInterrupt
        answer = GradientAnswer(
            lower=1.0, upper=2.0, point=None, row=None, end=End.LIMIT, evidence=Evidence.CHECKED, nodes=1
        )  # fmt: skip
        return (answer,) * len(questions)

    monkeypatch.setitem(methods.ORACLES, "search", oracle)
    with pytest.raises(Interrupted) as caught:
        wv.lipschitz_constants(network, ["label:0", "loss:margin:0", "loss:hinge:0"], norms=["l1", "linf"])
    values = [(c.value.lower, c.value.upper) for c in caught.value.constants]
    assert calls == [2, 2]
    assert values[:2] == [(1.0, 2.0)] * 2
    assert all(lower == 0.0 < upper < math.inf for lower, upper in values[2:])
    assert values[2:4] == values[4:]  # the product of norms of the label


def test_slopes_that_time_or_ctrl_c_leave_out_are_at_most_the_constant(monkeypatch):
    answer = GradientAnswer(lower=1.0, upper=2.0, point=None, row=None, end=End.LIMIT, evidence=Evidence.SOLVER, nodes=1)
    monkeypatch.setitem(methods.ORACLES, "search", lambda *_, **__: (answer,))
    found = wv.lipschitz(random_mlp([2, 4, 3], 1), "label:0", domain=EVERYWHERE, time_limit=1e-9)
    assert (found.slope.value.lower, found.slope.value.upper, found.slope.value.evidence) == (0.0, 2.0, Evidence.SOLVER)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(constants, "slope", interrupt)
    with pytest.raises(Interrupted) as caught:
        wv.lipschitz(random_mlp([2, 4, 3], 1), "label:0", domain=EVERYWHERE)
    assert caught.value.constants[0].value.lower == 1.0
    assert caught.value.constants[0].slope.value.upper == 2.0


def test_an_interrupted_answer_ends_the_pass(monkeypatch):
    answer = GradientAnswer(lower=1.0, upper=2.0, point=None, row=None, end=End.INTERRUPTED, evidence=Evidence.CHECKED, nodes=1)
    monkeypatch.setitem(methods.ORACLES, "search", lambda *_, **__: (answer,))
    with pytest.raises(Interrupted) as caught:
        wv.lipschitz_constants(random_mlp([2, 4, 3], 1), ["label:0", "loss:margin:0"])
    assert caught.value.constants[0].value.upper == 2.0


def test_an_interrupted_cross_entropy_on_the_whole_space_asks_no_more(monkeypatch):
    answer = GradientAnswer(lower=1.0, upper=1.0, point=None, row=None, end=End.INTERRUPTED, evidence=Evidence.CHECKED, nodes=1)
    monkeypatch.setattr(methods, "largest_cross_entropy_gradients", lambda *_, **__: (answer,))
    monkeypatch.setitem(methods.ORACLES, "search", lambda *_, **__: pytest.fail("the user said stop"))
    network = random_mlp([2, 4, 3], 1)
    with pytest.raises(Interrupted) as caught:
        wv.lipschitz(network, "loss:cross-entropy:0", domain=EVERYWHERE)
    (constant,) = caught.value.constants
    assert constant.value.lower == 1.0
    assert constant.value.upper == lipschitz_bound(network, "label:0", norm=Norm.LINF)  # what a box says bounds nothing on R^n


@settings(max_examples=200, deadline=None)
@given(st.floats(0, allow_infinity=False, allow_nan=False))
def test_printed_bounds_are_never_too_small(value):
    assert Decimal(printed_up(value)) >= Decimal(value)
    assert float(printed_up(value)) <= value * (1 + 1.000001e-8) + 5e-324


def test_what_slopes_mean():
    def pair(constant, slope):
        return compare(Bracket(lower=constant[0], upper=constant[1]), Bracket(lower=slope[0], upper=slope[1]))

    assert pair((2.0, 2.0), (2.0, 2.0)) is Exactness.COINCIDE
    assert pair((2.0, 2.0), (1.0, 1.9)) is Exactness.DIFFER
    assert pair((2.0, 2.0), (1.0, 2.0)) is Exactness.OPEN
    assert pair((2.0, 2.5), (2.0, 2.0)) is Exactness.OPEN
    ramp = mlp([[[1.0]], [[0.0], [3.0]]], [np.zeros(1), np.zeros(2)])
    found = wv.lipschitz_constants(ramp, ["label:0", "label:1"], domain=EVERYWHERE)
    assert [text.split(":")[0] + text.split(":")[1] for text in sentences(found)] == ["label0", "label1"]
    assert "coincide" in sentences(found)[0]
    assert "smaller than the constant" in sentences(found)[1]
    assert sentences(wv.lipschitz_constants(ramp, ["label:0"])) == []


def test_the_sentence_about_any_risk():
    ramp = mlp([[[1.0]], [[0.0], [3.0]]], [np.zeros(1), np.zeros(2)])
    text = growth_sentence(wv.lipschitz_constants(ramp, ["label:0", "label:1"], norms=["l1"]), wv.Box(0, 1))
    assert text.startswith("no distribution within W_p distance r raises the expected loss by more than 3")
    assert "l1 ground cost, domain [0, 1]^n" in text
    single = mlp([[[2.0]]], [np.zeros(1)])
    assert "moves the expected output by more than 2" in growth_sentence([wv.lipschitz(single, "logit:0")], wv.Box(0, 1))


def test_the_line_of_a_constant():
    line = str(wv.lipschitz(mlp([[[2.0]]], [np.zeros(1)]), "logit:0"))
    assert line == "logit:0               linf  2 (exact)"
