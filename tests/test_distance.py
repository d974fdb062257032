"""Minimum adversarial distances against golden values, brute force, closed forms, and lying solvers."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.networks import mlp, random_mlp, random_residual
from tests.oracles import brute_force_distance
from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.bracket import Evidence
from wdaverify.dataset import Dataset
from wdaverify.domain import Box
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.load import load
from wdaverify.losses import exact_margin
from wdaverify.risk.adversarial import AdversarialDistance, DistanceOptions, Interrupted
from wdaverify.risk.distance import distance, distances

if TYPE_CHECKING:
    from wdaverify.ir.network import Network

DATA = Path(__file__).parent / "data"
GOLDEN = {case["name"]: case for case in json.loads((DATA / "golden" / "golden.json").read_text())["cases"]}
NORMS = list(Norm)


def golden_distances(case: dict, norm: Norm) -> list[float] | None:
    answers = case.get("expected") or case["expected_by_r"].get({"l1": "1", "l2": "2", "linf": "inf"}[norm.value])
    if answers is None:
        return None
    return [float(d) for d in answers.get("d", answers.get("d_hi", []))]


def check_record(network: Network, data: Dataset, box: Box, norm: Norm, record: AdversarialDistance) -> None:
    """What must hold of any record, whatever the truth is."""
    assert record.distance.lower <= record.distance.upper
    if record.point is None:
        assert math.isinf(record.distance.upper)
        return
    assert box.sized(network.inputs).contains(record.point)
    margin, _ = exact_margin(exact_forward(network, record.point.tolist()), record.label)
    assert margin >= 0
    gaps = [abs(Fraction(a) - Fraction(b)) for a, b in zip(record.point.tolist(), data.x[record.sample].tolist(), strict=True)]
    upper = Fraction(record.distance.upper)
    if norm is Norm.L2:
        assert sum(gap * gap for gap in gaps) <= upper * upper
    else:
        assert (max(gaps) if norm is Norm.LINF else sum(gaps)) <= upper


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_golden(name: str, norm: Norm) -> None:
    case = GOLDEN[name]
    expected = golden_distances(case, norm)
    if expected is None:
        pytest.skip("the case has no value for this norm")
    network = load(DATA / "golden" / case["onnx"])
    data = Dataset.load(DATA / "golden" / case["data"])
    box = Box.whole_space() if case["domain"] == "R^n" else Box(case["domain"]["lo"], case["domain"]["hi"])
    for record, truth in zip(distances(network, data, norm=norm, domain=box, options=DistanceOptions()), expected, strict=True):
        check_record(network, data, box, norm, record)
        assert record.distance.exact
        assert record.distance.upper == pytest.approx(truth, abs=1e-6)
        assert record.distance.lower <= truth + 1e-12
        assert record.distance.lower == pytest.approx(truth, abs=1e-6)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_brute_force_over_cells(seed: int, norm: Norm) -> None:
    network = random_mlp([2, 6, 4, 3], seed) if seed % 2 else random_residual(seed, 2, 5, 3)
    rng = np.random.default_rng(seed)
    data = Dataset(rng.uniform(-1, 1, (3, 2)), rng.integers(0, 3, 3))
    box = Box(-1, 1)
    for record in distances(network, data, norm=norm, domain=box, options=DistanceOptions()):
        check_record(network, data, box, norm, record)
        truth = brute_force_distance(network, box.sized(2), data.x[record.sample], record.label, norm)
        assert record.distance.lower <= truth + 1e-9
        assert record.distance.upper >= truth - 1e-9
        assert record.distance.exact
        assert record.distance.evidence is (Evidence.CHECKED if norm is not Norm.L2 else record.distance.evidence)


@pytest.mark.parametrize("norm", NORMS)
def test_an_affine_network_has_the_distance_of_its_hyperplane(norm: Norm) -> None:
    weight, bias = np.array([[0.0, 0.0, 0.0], [1.0, -2.0, 0.5]]), np.array([0.0, -1.0])
    record = distance(mlp([weight], [bias]), np.zeros(3), 0, norm=norm, domain=Box(-9, 9))
    dual = {Norm.L1: 2.0, Norm.L2: np.sqrt(5.25), Norm.LINF: 3.5}[norm]
    assert record.distance.upper == pytest.approx(1 / dual, rel=1e-12)
    assert record.distance.lower == pytest.approx(1 / dual, rel=1e-9)
    assert record.distance.evidence is Evidence.CHECKED


def test_a_tie_is_an_error_at_distance_zero() -> None:
    network = mlp([np.array([[1.0], [1.0]])], [np.zeros(2)])
    record = distance(network, [0.3], 1)
    assert (record.distance.lower, record.distance.upper, record.target) == (0.0, 0.0, 0)


def test_a_plateau_tie_far_from_strict_errors_counts() -> None:
    """f_1 - f_0 = relu(x) - relu(x) = 0 for x >= 0 after rising from -1 at x = -1: the nearest tie is x = 0."""
    network = mlp([np.array([[-1.0]]), np.array([[0.0], [-1.0]])], [np.zeros(1), np.zeros(2)])
    record = distance(network, [-0.75], 0, domain=Box(-1, 1))
    assert record.distance.upper == pytest.approx(0.75)
    assert record.distance.exact


TOUCHING = mlp([[[3.0], [-3.0]], [[0.0, 0.0], [-1.0, -1.0]]], [[-1.0, 1.0], [0.0, 0.0]])
"""f_1 - f_0 = -|3x - 1|: the only error is a tie at 1/3, which no float64 holds."""


@pytest.mark.parametrize("engine", ["search", "milp"])
@pytest.mark.parametrize("domain", [Box.whole_space(), Box([-1.0], [np.inf]), Box(-1, 1)], ids=["Rn", "half", "box"])
def test_a_tie_at_no_float_is_bracketed_from_below(domain: Box, engine: str) -> None:
    record = distance(TOUCHING, [0.0], 0, domain=domain, options=DistanceOptions(engine=engine))
    assert 0.1 <= record.distance.lower <= 1 / 3
    assert math.isinf(record.distance.upper)


@pytest.mark.parametrize("engine", ["search", "milp"])
def test_a_spike_near_the_sample_is_found_before_a_far_near_miss(engine: str) -> None:
    """m = -1e-8 far away, and a narrow spike of height 0.1 at 0.3: a solver that tolerates 1e-8 must not hide the spike."""
    network = mlp([[[1.0]] * 3, [[0.0] * 3, [100.0, -200.0, 100.0]]], [[-0.299, -0.3, -0.301], [0.0, -1e-8]])
    for domain in (Box.whole_space(), Box([-1.0], [np.inf])):
        record = distance(network, [0.0], 0, domain=domain, options=DistanceOptions(engine=engine))
        assert record.distance.lower <= 0.2990000001 <= record.distance.upper + 1e-9


def test_an_ill_scaled_network_is_not_declared_safe() -> None:
    """f_1 - f_0 = x - 1 through weights 1e8: rounding in the rows exceeds every solver tolerance."""
    network = mlp([[[1e8], [1e8]], [[1e8, -1e8], [1e8, 1e8]], [[0.0, 0.0], [1e-16, 0.0]]], [[0, -1e-1], [0, 0], [0, -1e-9]])
    for engine in ("search", "milp"):
        record = distance(network, [-1.0], 0, domain=Box(-2, 1), options=DistanceOptions(engine=engine))
        truth = 1.0 + 1e-9 * 1e-8
        assert record.distance.lower <= truth <= record.distance.upper


@pytest.mark.parametrize("size", [2.0**-540, 2.0**-600])
def test_tiny_euclidean_distances_are_valid(size: float) -> None:
    network = mlp([[[0.0], [1.0]]], [[0.0, -size]])
    record = distance(network, [0.0], 0, norm="l2", domain=Box(-1, 1))
    assert record.distance.lower <= size <= record.distance.upper


def test_round_numbers_are_met_exactly() -> None:
    network = load(DATA / "golden" / "g01_ramp_R.onnx")
    data = Dataset.load(DATA / "golden" / "g01_ramp_R.npz")
    for norm in NORMS:
        uppers = [
            r.distance.upper for r in distances(network, data, norm=norm, domain=Box.whole_space(), options=DistanceOptions())
        ]
        assert uppers == [1.0, 0.5]


@pytest.mark.parametrize("norm", NORMS)
def test_no_error_in_the_domain_is_infinitely_far(norm: Norm) -> None:
    network = mlp([np.eye(1), np.array([[0.0], [1.0]])], [np.zeros(1), np.array([2.0, 0.0])])
    record = distance(network, [0.5], 0, norm=norm, domain=Box(0, 1))
    assert (record.distance.lower, record.distance.upper) == (math.inf, math.inf)
    assert record.point is None
    assert record.distance.exact


def test_far_errors_on_the_whole_space_are_found() -> None:
    network = mlp([np.eye(1), np.array([[0.0], [1.0]])], [np.zeros(1), np.array([1000.0, 0.0])])
    record = distance(network, [0.5], 0, domain=Box.whole_space())
    assert record.distance.upper == pytest.approx(999.5)
    assert record.distance.exact


def test_no_error_on_the_whole_space_is_bounded_from_below_only() -> None:
    """f_1 - f_0 = -1 - relu(x) < 0 everywhere: a huge lower end, no point, and no claim that there is none."""
    network = mlp([np.eye(1), np.array([[0.0], [-1.0]])], [np.zeros(1), np.array([1.0, 0.0])])
    record = distance(network, [0.5], 0, domain=Box.whole_space())
    assert record.distance.lower > 1e6
    assert math.isinf(record.distance.upper)


def test_fixed_coordinates_do_not_move() -> None:
    network = mlp([np.array([[0.0, 0.0], [1.0, 1.0]])], [np.array([0.0, -1.0])])
    record = distance(network, [0.25, 0.5], 0, norm="l1", domain=Box([0.25, 0.0], [0.25, 1.0]))
    assert record.distance.upper == pytest.approx(0.25)
    assert record.point is not None
    assert record.point[0] == 0.25


@pytest.mark.parametrize("seed", range(3))
def test_distances_grow_as_norm_and_domain_shrink(seed: int) -> None:
    network = random_mlp([3, 8, 3], seed)
    x = np.random.default_rng(seed).uniform(-0.5, 0.5, 3)
    label = int(np.argmax([float(v) for v in exact_forward(network, x.tolist())]))
    near, wide = Box(-1, 1), Box(-3, 3)
    linf, l1 = (distance(network, x, label, norm=norm, domain=near).distance for norm in (Norm.LINF, Norm.L1))
    assert linf.lower <= l1.upper
    assert distance(network, x, label, domain=wide).distance.lower <= linf.upper


@pytest.mark.parametrize("power", [-20, 20])
def test_scaling_inputs_scales_distances(power: int) -> None:
    """f(x / s) has distances s d: with s a power of two, weights stay exact."""
    network = random_mlp([2, 6, 3], 3)
    scale = 2.0**power
    weights = [op.matrices[0].toarray() for op in (network.op(k) for k in ("affine0", "affine1"))]
    biases = [network.op(k).bias for k in ("affine0", "affine1")]
    scaled = mlp([weights[0] / scale, weights[1]], biases)
    x = np.array([0.2, -0.1])
    label = int(np.argmax([float(v) for v in exact_forward(network, x.tolist())]))
    plain = distance(network, x, label, domain=Box(-2, 2)).distance
    moved = distance(scaled, x * scale, label, domain=Box(-2 * scale, 2 * scale)).distance
    assert moved.upper == pytest.approx(plain.upper * scale, rel=1e-6)
    assert moved.lower == pytest.approx(plain.lower * scale, rel=1e-6)


def test_no_time_gives_a_valid_bracket() -> None:
    network = random_mlp([2, 5, 5, 3], 5)
    x = np.array([[0.1, 0.2]])
    label = int(np.argmax([float(v) for v in exact_forward(network, x[0].tolist())]))
    options = DistanceOptions(deadline=Deadline.after(0.0))
    record = distances(network, Dataset(x, [label]), norm=Norm.LINF, domain=Box(-1, 1), options=options)[0]
    truth = brute_force_distance(network, Box(-1, 1).sized(2), x[0], label, Norm.LINF)
    assert record.distance.lower <= truth + 1e-9
    assert record.distance.upper >= truth - 1e-9


def test_interrupt_carries_valid_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_mlp([2, 5, 3], 2)
    x = np.random.default_rng(2).uniform(-1, 1, (5, 2))
    seen: list[AdversarialDistance] = []

    def stop(record: AdversarialDistance) -> None:
        seen.append(record)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        distances(
            network, Dataset(x, np.zeros(5, int)), norm=Norm.L1, domain=Box(-1, 1), options=DistanceOptions(), progress=stop
        )
    assert [r.sample for r in caught.value.distances] == list(range(5))
    for record in caught.value.distances:
        truth = brute_force_distance(network, Box(-1, 1).sized(2), x[record.sample], 0, Norm.L1)
        assert record.distance.lower <= truth + 1e-9
        assert record.distance.upper >= truth - 1e-9


@pytest.mark.slow
def test_workers_do_not_change_the_answer() -> None:
    network = load(DATA / "golden" / "g14_iris.onnx")
    data = Dataset.load(DATA / "golden" / "g14_iris.npz").first(4)
    box = Box(GOLDEN["g14_iris"]["domain"]["lo"], GOLDEN["g14_iris"]["domain"]["hi"])
    found = [distances(network, data, norm=Norm.LINF, domain=box, options=DistanceOptions(workers=k)) for k in (1, 2, 3)]
    one, two, three = ([(r.distance, r.target, None if r.point is None else r.point.tolist()) for r in rs] for rs in found)
    assert one == two == three


@pytest.mark.parametrize(("arguments", "message"), [
    ({"norm": "l3"}, "l3"),
    ({"label": 7}, "label 7"),
    ({"x": [1.5, 0.0]}, "outside"),
    ({"x": [0.5]}, "1 coordinates"),
])  # fmt: skip
def test_unusable_questions_are_refused(arguments: dict, message: str) -> None:
    question = {"x": [0.5, 0.5], "label": 0, "norm": "linf", **arguments}
    with pytest.raises(InputError, match=message):
        distance(random_mlp([2, 3, 2], 0), question["x"], question["label"], norm=question["norm"])
