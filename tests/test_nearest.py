from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.networks import mlp, random_mlp, random_residual
from tests.oracles import brute_force_distances, project
from wdaverify._errors import DataError, DomainError, InputError, ModelError
from wdaverify._types import Norm
from wdaverify.attack.nearest import NearestOptions, nearest_points
from wdaverify.domain import Box
from wdaverify.ir.evaluate import forward

GOLDEN = Path(__file__).parent / "data" / "golden"
NORMS = list(Norm)
ON_CPU = NearestOptions(device="cpu")


def check_points(network, x, labels, found, norm, box):
    """Every point must lie in the box, not lose to its rival's label, and be as far away as is said."""
    outputs = forward(network, x)
    for i, label in enumerate(labels):
        assert found.distances[i, label] == np.inf
        assert np.isnan(found.points[i, label]).all()
        for j in range(network.outputs):
            point = found.points[i, j]
            if not np.isfinite(found.distances[i, j]):
                assert np.isnan(point).all()
                continue
            assert box.contains(point)
            values = forward(network, point[None])[0]
            assert values[j] >= values[label]
            assert found.distances[i, j] == pytest.approx(np.linalg.norm(point - x[i], ord=norm.order), rel=1e-14)
            if outputs[i, j] >= outputs[i, label]:
                assert found.distances[i, j] == 0


@pytest.mark.parametrize("norm", NORMS)
def test_affine_network_on_the_whole_space_gives_margin_over_dual_norm(norm):
    generator = np.random.default_rng(4)
    weights, bias, x = generator.normal(size=(4, 7)), generator.normal(size=4), generator.normal(size=(9, 7))
    network = mlp([weights], [bias])
    outputs = x @ weights.T + bias
    labels = outputs.argmax(axis=1)
    found = nearest_points(network, x, labels, norm=norm, domain=Box.whole_space(), options=ON_CPU)
    for i, label in enumerate(labels):
        for j in set(range(4)) - {int(label)}:
            dual = np.linalg.norm(weights[label] - weights[j], ord=norm.dual.order)
            assert found.distances[i, j] == pytest.approx((outputs[i, label] - outputs[i, j]) / dual, rel=1e-9)
    check_points(network, x, labels, found, norm, Box.whole_space())


@pytest.mark.parametrize("norm", NORMS)
def test_affine_network_in_a_box_agrees_with_linear_programs(norm):
    generator = np.random.default_rng(5)
    weights, bias, x = generator.normal(size=(4, 6)), generator.normal(size=4), generator.random((12, 6))
    network, box = mlp([weights], [bias]), Box(0, 1)
    labels = (x @ weights.T + bias).argmax(axis=1)
    found = nearest_points(network, x, labels, norm=norm, domain=box, options=ON_CPU)
    rows, sides = np.vstack([np.eye(6), -np.eye(6)]), np.r_[np.ones(6), np.zeros(6)]
    unreachable = 0
    for i, label in enumerate(labels):
        for j in set(range(4)) - {int(label)}:
            true = project(x[i], np.vstack([rows, weights[label] - weights[j]]), np.r_[sides, bias[j] - bias[label]], norm)
            assert found.distances[i, j] == pytest.approx(true, rel=1e-8)
            unreachable += true == np.inf
    assert 0 < unreachable < 36
    check_points(network, x, labels, found, norm, box)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("network", [random_mlp([1, 7, 3], 0), random_mlp([2, 6, 4, 3], 1), random_residual(3, 2, 5, 3)], ids=str)
def test_small_networks_are_met_from_above_and_almost_exactly(network, norm):
    box = Box(-1, 1)
    x = np.random.default_rng(6).uniform(-1, 1, size=(2, network.inputs))
    labels = forward(network, x).argmax(axis=1)
    true = np.array([brute_force_distances(network, box, p, y, norm) for p, y in zip(x, labels, strict=True)])
    found = nearest_points(network, x, labels, norm=norm, domain=box, options=ON_CPU)
    assert np.isfinite(true).any()
    assert (found.distances >= true - 1e-8).all()
    assert found.distances == pytest.approx(true, rel=1e-5)
    check_points(network, x, labels, found, norm, box)


def test_a_class_that_cannot_win_has_no_point():
    network = mlp([[[1.0], [-1.0], [0.0]]], [[0.0, 1.0, -9.0]])
    found = nearest_points(network, [[0.75], [0.25]], [0, 2], norm=Norm.LINF, domain=Box(0, 1), options=ON_CPU)
    assert found.distances[0] == pytest.approx([np.inf, 0.25, np.inf], abs=1e-12)
    assert found.distances[1, 0] == 0.0
    alone = nearest_points(mlp([[[0.0], [0.0]]], [[1.0, 0.0]]), [[0.5]], [0], norm=Norm.L1, domain=Box(0, 1), options=ON_CPU)
    assert (alone.distances == np.inf).all()
    assert np.isnan(alone.points).all()


def test_a_tie_at_the_sample_is_distance_zero():
    found = nearest_points(mlp([[[1.0], [1.0]]], [[0.0, 0.0]]), [[0.5]], [0], norm=Norm.L2, domain=Box(0, 1), options=ON_CPU)
    assert found.distances.tolist() == [[np.inf, 0.0]]
    assert found.points[0, 1].tolist() == [0.5]


def test_a_plateau_without_gradient_is_left_by_the_random_starts():
    # f_1 - f_0 = relu(x - 0.8) - 0.1 is flat on [0, 0.8]; the boundary is at 0.9.
    network = mlp([[[1.0]], [[0.0], [1.0]]], [[-0.8], [0.1, 0.0]])
    x, labels = np.linspace(0, 0.5, 6)[:, None], np.zeros(6, dtype=int)
    first = nearest_points(network, x, labels, norm=Norm.LINF, domain=Box(0, 1), options=NearestOptions(restarts=1, device="cpu"))
    assert (first.distances == np.inf).all()
    more = NearestOptions(restarts=80, steps=5, device="cpu")
    found = nearest_points(network, x, labels, norm=Norm.LINF, domain=Box(0, 1), options=more)
    assert found.distances[:, 1] == pytest.approx(0.9 - x[:, 0], abs=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_a_domain_with_some_infinite_ends_is_respected(norm):
    network = random_mlp([3, 8, 3], 8)
    box = Box([-np.inf, 0.0, 0.25], [0.5, np.inf, 0.25])
    x = np.array([[0.0, 0.5, 0.25], [-3.0, 2.0, 0.25]])
    labels = forward(network, x).argmax(axis=1)
    found = nearest_points(network, x, labels, norm=norm, domain=box, options=ON_CPU)
    assert np.isfinite(found.distances).any()
    check_points(network, x, labels, found, norm, box)


@pytest.mark.parametrize("norm", NORMS)
def test_equal_calls_are_equal_and_other_samples_do_not_matter(norm):
    network = random_mlp([5, 12, 8, 4], 9)
    x = np.random.default_rng(10).random((6, 5))
    labels = forward(network, x).argmax(axis=1)

    def run(index, **options):
        chosen = NearestOptions(device="cpu", steps=15, **options)
        return nearest_points(network, x[index], labels[index], norm=norm, domain=Box(0, 1), options=chosen)

    whole, again, small = run(slice(0, 6)), run(slice(0, 6)), run(slice(0, 6), rows=3)
    assert np.array_equal(whole.points, again.points, equal_nan=True)
    assert small.distances == pytest.approx(whole.distances, rel=1e-6)
    assert run(slice(2, 4)).distances == pytest.approx(whole.distances[2:4], rel=1e-6)
    check_points(network, x, labels, whole, norm, Box(0, 1))


def test_the_golden_iris_distances_are_met_from_above():
    with np.load(GOLDEN / "g14_iris.weights.npz") as stored:
        network = mlp([stored[f"W{k}"] for k in range(3)], [stored[f"b{k}"] for k in range(3)])
    (case,) = [c for c in json.loads((GOLDEN / "golden.json").read_text(encoding="utf-8"))["cases"] if c["name"] == "g14_iris"]
    expected = case["expected_by_r"]["inf"]
    low, high = np.array(expected["d_lo"]), np.array(expected["d_hi"])
    with np.load(GOLDEN / "g14_iris.npz") as data:
        x, labels = data["x"], data["y"]
    box = Box(case["domain"]["lo"], case["domain"]["hi"])
    distances = nearest_points(network, x, labels, norm=Norm.LINF, domain=box, options=ON_CPU).distances.min(axis=1)
    assert (distances >= low - 1e-9).all()
    assert (distances <= 1.02 * high + 1e-9).all()


def test_wrong_input_is_refused_in_one_line():
    network, box = random_mlp([2, 3, 2], 0), Box(0, 1)
    for x, labels, error in [
        ([[0.5, 0.5, 0.5]], [0], DataError),
        ([[0.5, 0.5]], [0, 1], DataError),
        ([[0.5, 0.5]], [2], DataError),
        ([[0.5, 0.5]], [-1], DataError),
        ([[0.5, np.nan]], [0], DataError),
        ([[0.5, 1.5]], [0], DomainError),
    ]:
        with pytest.raises(error) as caught:
            nearest_points(network, x, labels, norm=Norm.L1, domain=box, options=ON_CPU)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="two classes"):
        nearest_points(random_mlp([2, 3, 1], 0), [[0.5, 0.5]], [0], norm=Norm.L1, domain=box, options=ON_CPU)
    for options in ({"steps": 0}, {"restarts": 0}, {"rows": 0}, {"seed": -1}, {"device": "abacus"}):
        with pytest.raises(InputError):
            NearestOptions(**options)
