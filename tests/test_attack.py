"""What every attack of the table owes: valid points, distances above the exact ones, nothing that depends on the batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import wdaverify as wv
from tests.attack_cases import FAST, NAMES, NORMS, audited, check, labelled
from tests.networks import mlp, random_mlp
from tests.oracles import brute_force_distance
from tests.strategies import degenerate_networks, small_networks
from wdaverify._errors import DataError, DomainError, InputError, ModelError
from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Input

BOXES = [wv.Box(-1, 1), wv.Box.whole_space(), wv.Box([-1, 0.25], [1, 0.25]), wv.Box([-np.inf, -1], [0.5, np.inf])]
BALL_METHODS = ["pgd", "apgd", "wda", "a3-wda"]


@pytest.mark.parametrize("method", NAMES)
@settings(max_examples=8, deadline=None)
@given(
    network=st.one_of(small_networks(), degenerate_networks()),
    seed=st.integers(0, 999),
    norm=st.sampled_from(NORMS),
    radius=st.sampled_from([0.0, 1e-6, 0.1, 0.7]),
    order=st.sampled_from([1.0, 2.0, np.inf]),
    box=st.sampled_from(BOXES),
)
def test_points_are_valid_and_plans_pass_the_audit(method, network, seed, norm, radius, order, box):
    generator = np.random.default_rng(seed)
    x = box.sized(2).clip(generator.uniform(-1, 1, (4, 2)))
    data = wv.Dataset(x, generator.integers(0, 3, 4), generator.integers(0, 3, 4) + np.array([1, 0, 0, 0]))
    ball = wv.WassersteinBall(radius, order=order, norm=norm)
    found = wv.attack(network, data, ball, method=method, domain=box, radii=[0.3, radius], **FAST)
    check(network, data, found, box)
    audited(network, data, found, box)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("network", [random_mlp([2, 6, 4, 3], 1), random_mlp([2, 8, 2], 5), random_mlp([1, 6, 4], 2)], ids=str)
def test_distances_are_never_below_the_exact_ones_and_close_to_them(network, norm):
    box, x = wv.Box(-1, 1), np.random.default_rng(3).uniform(-1, 1, (3, network.inputs))
    data = labelled(network, x)
    true = np.array([brute_force_distance(network, box, p, y, norm) for p, y in zip(x, data.y, strict=True)])
    assert np.isfinite(true).any()
    ball = wv.WassersteinBall(float(1.01 * true[np.isfinite(true)].max()), norm=norm)
    for method in NAMES:
        effort = {} if method in ("nearest", "wda++") else {"steps": 15, "restarts": 15}
        found = wv.attack(network, data, ball, method=method, domain=box, device="cpu", **effort)
        assert (found.distances >= true - 1e-8).all()
        assert (np.isfinite(found.distances) <= np.isfinite(true)).all()
        if method in ("nearest", "wda++"):
            assert found.distances == pytest.approx(true, rel=1e-4)
        else:
            assert found.robust_accuracy <= np.isinf(true).mean() + 1 / 3 + 1e-9  # one of the three may withstand


@pytest.mark.parametrize("method", NAMES)
def test_runs_are_equal_and_batches_do_not_matter(method):
    network = random_mlp([6, 14, 9, 4], 9)
    data = labelled(network, np.random.default_rng(10).random((11, 6)))
    ball = wv.WassersteinBall(0.15, order=2, norm="l2")

    def run(chosen=data, **options):
        return wv.attack(network, chosen, ball, method=method, radii=[0.05], **{**FAST, "restarts": 3, **options})

    whole, again, small = run(), run(), run(batch_size=2)
    assert np.array_equal(whole.points, again.points, equal_nan=True)
    assert whole.parts == again.parts
    assert np.isfinite(whole.distances).any()
    # Steps are float32, and other shapes round otherwise: an ascent in the ball repeats its points to fewer digits.
    digits = 1e-6 if method in ("nearest", "wda++") else 1e-2
    assert small.distances == pytest.approx(whole.distances, rel=digits)
    assert [p.worst_case_accuracy for p in small.curve] == pytest.approx([p.worst_case_accuracy for p in whole.curve], rel=digits)
    assert run(data.first(4)).distances == pytest.approx(whole.distances[:4], rel=digits)


def test_other_seeds_start_elsewhere():
    network = random_mlp([6, 14, 9, 4], 9)
    data = labelled(network, np.random.default_rng(10).random((11, 6)))
    ball = wv.WassersteinBall(0.3, norm="l2")
    points = [wv.attack(network, data, ball, method="pgd", steps=1, restarts=9, device="cpu", seed=s).points for s in (0, 1)]
    assert not np.array_equal(*points, equal_nan=True)


@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes_fall_like_many(method, classes):
    network = random_mlp([4, 10, classes], 21)
    data = labelled(network, np.random.default_rng(1).random((8, 4)))
    found = wv.attack(network, data, wv.WassersteinBall(1.0), method=method, device="cpu")
    reference = wv.attack(network, data, wv.WassersteinBall(1.0), method="wda++", device="cpu")
    assert np.isfinite(reference.distances).any()
    assert np.array_equal(np.isfinite(found.distances), np.isfinite(reference.distances))
    check(network, data, found, wv.Box(0, 1))


@pytest.mark.parametrize("method", NAMES)
def test_samples_that_err_as_they_are_count_at_every_radius(method):
    network = mlp([[[1.0], [-1.0]]], [[0.0, 0.0]])  # class 0 for x > 0, a tie at 0
    data = wv.Dataset([[0.0], [0.5], [-0.5]], [0, 1, 1], [2, 1, 1])
    found = wv.attack(network, data, wv.WassersteinBall(0.0), method=method, domain=wv.Box(-1, 1), **FAST)
    assert found.distances[:2].tolist() == [0.0, 0.0]
    assert found.parts[:2] == ("clean", "clean")
    assert found.targets[:2].tolist() == [1, 0]
    assert (found.clean_accuracy, found.worst_case_accuracy, found.robust_accuracy) == (0.25, 0.25, 0.25)
    assert found.point.plan.moved == ()


@pytest.mark.parametrize("method", BALL_METHODS)
def test_kappa_reaches_farther_for_a_share_of_the_mass(method):
    network = mlp([[[1.0], [-1.0]]], [[0.0, 0.0]])
    data = wv.Dataset([[0.25], [0.75]], [0, 0])

    def run(kappa, order):
        ball = wv.WassersteinBall(0.2, order=order)
        return wv.attack(network, data, ball, method=method, domain=wv.Box(-1, 1), kappa=kappa, device="cpu")

    assert np.isinf(run(1.0, 1).distances).all()
    twice = run(2.0, 1)
    assert twice.distances == pytest.approx([0.25, np.inf])
    # Half of the mass of sample 0 falls; the knapsack moves more of it: 0.5 a 0.25 <= 0.2 allows all.
    assert (twice.point.mixture_accuracy, twice.worst_case_accuracy, twice.robust_accuracy) == (0.75, 0.5, 1.0)
    assert np.isfinite(run(2.0, 2).distances).tolist() == [True, False]  # sqrt(2) * 0.2 > 0.25
    assert np.isinf(run(1.5, 2).distances).all()  # sqrt(1.5) * 0.2 < 0.25
    assert np.isinf(run(9.0, np.inf).distances).all()


def test_frozen_features_stay_where_the_sample_has_them():
    network = random_mlp([3, 8, 3], 8)
    data = labelled(network, np.random.default_rng(2).random((6, 3)))
    domain = wv.Domain(wv.Box(0, 1), frozen=[False, True, False])
    for method in NAMES:
        found = wv.attack(network, data, wv.WassersteinBall(1.0, norm="l2"), method=method, domain=domain, **FAST)
        known = np.isfinite(found.distances)
        assert known.any()
        assert np.array_equal(found.points[known, 1], data.x[known, 1])


def test_nothing_is_found_where_nothing_is():
    network = mlp([[[0.0, 0.0], [0.0, 0.0]]], [[1.0, 0.0]])
    data = wv.Dataset([[0.5, 0.5]], [0])
    for method in NAMES:
        found = wv.attack(network, data, wv.WassersteinBall(0.5), method=method, **FAST)
        assert np.isinf(found.distances).all()
        assert (found.worst_case_accuracy, found.parts) == (1.0, ("",))


def test_wrong_questions_are_refused_in_one_line():
    network, data, ball = random_mlp([2, 4, 3], 0), wv.Dataset([[0.5, 0.5]], [0]), wv.WassersteinBall(0.1)
    cases = [
        (lambda: wv.attack(network, data, ball, method="fgsm"), InputError, "fgsm"),
        (lambda: wv.attack(network, data, ball, steps=0), InputError, "steps"),
        (lambda: wv.attack(network, data, ball, restarts=-1), InputError, "restarts"),
        (lambda: wv.attack(network, data, ball, batch_size=0), InputError, "batch_size"),
        (lambda: wv.attack(network, data, ball, seed=-1), InputError, "seed"),
        (lambda: wv.attack(network, data, ball, restarts=float("nan")), InputError, "restarts"),
        (lambda: wv.attack(network, data, ball, batch_size=2.0), InputError, "batch_size"),
        (lambda: wv.attack(network, data, ball, kappa=0.5), InputError, "kappa"),
        (lambda: wv.attack(network, data, ball, device="abacus"), InputError, "abacus"),
        (lambda: wv.attack(network, data, ball, radii=[-1]), InputError, "radius"),
        (lambda: wv.attack(network, wv.Dataset([[0.5, 0.5]], [3]), ball, device="cpu"), DataError, "label 3"),
        (lambda: wv.attack(network, wv.Dataset([[0.5]], [0]), ball, device="cpu"), ModelError, "2 inputs"),
        (lambda: wv.attack(network, wv.Dataset([[0.5, 1.5]], [0]), ball, device="cpu"), DomainError, "outside"),
        (lambda: wv.attack(random_mlp([2, 3, 1], 0), data, ball, device="cpu"), ModelError, "two classes"),
        (lambda: wv.attack("network", data, ball), ModelError, "str"),
        (lambda: wv.attack(network, data, ball, domain=wv.Domain(wv.Box(0, 1), integer=[True, False])), DomainError, "box"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_margin_below_rounding_is_decided_exactly():
    # f_0 = x + 1e-20, f_1 = x: in float64 a tie, in truth no error anywhere
    logits = Affine((csr_array(np.ones((2, 1))),), np.array([1e-20, 0.0]))
    network = Network.from_nodes({"x": Node(Input(1)), "f": Node(logits, ("x",))}, "f")
    data = wv.Dataset([[0.5], [0.75]], [0, 1])
    for method in ("wda++", "pgd"):
        found = wv.attack(network, data, wv.WassersteinBall(0.2), method=method, device="cpu")
        assert found.distances.tolist() == [np.inf, 0.0]
        assert found.clean_accuracy == 0.5
