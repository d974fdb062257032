"""Branch and bound: the relaxation contains the truth, verdicts agree with brute force, and solvers may lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tests.bounds_networks import NETWORKS
from tests.networks import mlp, random_mlp, random_residual
from tests.oracles import brute_force_distances
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.bounds.crown import crown_bounds
from wdaverify.domain import Box, Regions
from wdaverify.ir.evaluate import forward
from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Input, Relu
from wdaverify.program.backend import get_backend
from wdaverify.program.result import Status
from wdaverify.risk.distance import distance
from wdaverify.search.ceiling import Multipliers
from wdaverify.search.goal import GoalSearch
from wdaverify.search.inputs import InputSet
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.tightening import tighten
from wdaverify.search.tree import Verdict

if TYPE_CHECKING:
    from wdaverify.program.backend import Backend

HIGHS = get_backend("highs")


def against(network: Network, label: int) -> Question:
    """The questions ``f_j - f_label`` of all other classes."""
    rows = np.delete(np.eye(network.outputs) - np.eye(network.outputs)[label], label, axis=0)
    return Question.of(rows, inputs=network.inputs)


def relaxed(
    network: Network, regions: Regions, label: int = 0, backend: Backend = HIGHS, question: Question | None = None
) -> PhaseRelaxation:
    bounds = NeuronBounds.of(network, regions, crown_bounds(network, regions))
    return PhaseRelaxation(backend, network, question or against(network, label), InputSet(regions), bounds)


def boxed(x: np.ndarray, radius: float) -> Regions:
    return Regions((x - radius)[None], (x + radius)[None])


def pre_activations(network: Network, x: np.ndarray) -> np.ndarray:
    """All of them at one point, by number."""
    compiled = network.compiled
    values = compiled.trace(x[None])
    return np.concatenate([np.zeros(0), *(values[step.source][0] for step in compiled.relus)])


def path_of(relaxation: PhaseRelaxation, z: np.ndarray) -> tuple[int, ...]:
    return tuple(int(k) + 1 if z[k] >= 0 else -int(k) - 1 for k in np.flatnonzero(relaxation.free))


@settings(max_examples=25, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 1000), part=st.floats(0, 1))
def test_the_relaxation_contains_the_graph(network: Network, seed: int, part: float) -> None:
    """Fix the input: the outputs of the network are feasible, also under some of the phases that the point has."""
    x = np.random.default_rng(seed).uniform(-1, 1, 2)
    relaxation = relaxed(network, boxed(np.zeros(2), 1.0))
    lp, session = relaxation.lp, HIGHS.open(relaxation.lp.program)
    z = pre_activations(network, x)
    path = path_of(relaxation, z)
    for decision in path[: int(part * len(path))]:
        k = int(np.flatnonzero(lp.free == abs(decision) - 1)[0])
        session.set_column_bounds([lp.inactive[k] if decision > 0 else lp.active[k]], 0.0, 0.0)
    session.set_column_bounds(np.arange(2), x, x)
    goals = relaxation.question.rows @ forward(network, x[None])[0]
    session.set_column_bounds(lp.goals, goals - 1e-7, goals + 1e-7)
    assert session.solve().status is Status.OPTIMAL


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_every_multiplier_bounds_every_point(kind: str, norm: Norm) -> None:
    """Ceilings hold whatever the multipliers are, at the root and at nodes, for boxes and balls."""
    rng = np.random.default_rng(3)
    network = NETWORKS[kind](rng)
    center = np.full(network.inputs, 0.5)
    regions = Regions.balls(Box(0, 1), center[None], 0.4, norm)
    relaxation = relaxed(network, regions)
    points = center + 0.4 * rng.uniform(-1, 1, (200, network.inputs)) * rng.random((200, 1))
    points = points[np.linalg.norm(points - center, ord=norm.order, axis=1) <= 0.4]
    goals = forward(network, points) @ relaxation.question.rows.T
    for trial in range(6):
        x = points[trial]
        z = pre_activations(network, x)
        path = path_of(relaxation, z)
        relaxation.move(path[: len(path) * trial // 5])
        inside = [k for k, p in enumerate(points) if all(
            (pre_activations(network, p)[abs(d) - 1] >= 0) == (d > 0) for d in path[: len(path) * trial // 5])]  # fmt: skip
        for goal in range(len(relaxation.question.rows)):
            relaxation.aim(goal)
            weights = np.eye(len(relaxation.question.rows))[goal]
            multipliers = Multipliers(rng.normal(size=network.relus) * rng.choice([0.0, 0.1, 1.0]), weights, np.zeros(0))
            assert relaxation.ceiling(multipliers) >= goals[inside, goal].max()
            answer = relaxation.answer(-np.inf, Deadline())
            assert answer.ceiling >= goals[inside, goal].max()


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_all_phases_fixed_is_the_network(kind: str) -> None:
    """With every decision taken on a tiny box the ceiling is the forward value."""
    network = NETWORKS[kind](np.random.default_rng(1))
    x = np.random.default_rng(2).uniform(0.1, 0.9, network.inputs)
    relaxation = relaxed(network, Regions(np.zeros((1, network.inputs)), np.ones((1, network.inputs))))
    tiny = relaxed(network, boxed(x, 1e-9))
    truth = relaxation.question.rows @ forward(network, x[None])[0]
    scale = np.abs(forward(network, x[None])).max() + 1.0
    for goal in range(len(truth)):
        tiny.aim(goal)
        assert tiny.answer(-np.inf, Deadline()).ceiling == pytest.approx(truth[goal], abs=1e-5 * scale)
        relaxation.aim(goal)
        relaxation.move(path_of(relaxation, pre_activations(network, x)))
        assert relaxation.answer(-np.inf, Deadline()).ceiling >= truth[goal] - 1e-12 * scale


def goal_search(network: Network, regions: Regions, label: int, target: int, backend: Backend = HIGHS) -> GoalSearch:
    question = against(network, label)
    goal = target - (target > label)
    inputs = InputSet(regions)

    def build(bounds: NeuronBounds) -> PhaseRelaxation:
        return PhaseRelaxation(backend, network, question, inputs, bounds)

    def accept(point: np.ndarray) -> bool:
        logits = forward(network, np.clip(point, inputs.lower, inputs.upper)[None])[0]
        return bool(logits[target] >= logits[label])

    bounds = NeuronBounds.of(network, regions, crown_bounds(network, regions))
    return GoalSearch(build(bounds), build, goal, accept)


@pytest.mark.parametrize("cap", [1, 50])
@pytest.mark.parametrize("seed", range(8))
def test_verdicts_agree_with_brute_force(seed: int, cap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a cap of one node every box goes through tightening and splitting."""
    monkeypatch.setattr("wdaverify.search.goal._CAP", cap)
    monkeypatch.setattr("wdaverify.search.goal._MOST_CAPS", 1 if cap == 1 else 20)
    network = random_mlp([2, 6, 4, 3], seed) if seed % 2 else random_residual(seed, 2, 5, 3)
    x = np.random.default_rng(seed).uniform(-0.3, 0.3, 2)
    truth = brute_force_distances(network, Box(-9, 9).sized(2), x, 0, Norm.LINF)
    for target in (1, 2):
        if not 1e-6 < truth[target] < 8.0:
            continue
        for part, expected in ((0.5, Verdict.CLOSED), (1 - 1e-6, Verdict.CLOSED), (1 + 1e-6, Verdict.FOUND)):
            search = goal_search(network, boxed(x, part * truth[target]), 0, target)
            assert search.run(10_000, Deadline()) is expected


@settings(max_examples=20, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 1000))
def test_tightened_bounds_hold_for_points_of_interest(network: Network, seed: int) -> None:
    rng = np.random.default_rng(seed)
    relaxation = relaxed(network, boxed(np.zeros(2), 1.0))
    relaxation.aim(0)
    result = tighten(relaxation, (), np.ones(network.relus), 99, Deadline())
    points = rng.uniform(-1, 1, (300, 2))
    wanted = [p for p in points if (relaxation.question.rows[0] @ forward(network, p[None])[0]) >= 0]
    assert not (result.empty and wanted)
    for p in wanted:
        z = pre_activations(network, p)
        assert (z >= result.bounds.lower - 1e-12).all()
        assert (z <= result.bounds.upper + 1e-12).all()


def test_a_search_continues_where_it_stopped() -> None:
    """Slices of one program each end like one long run, with as many programs."""
    network = random_mlp([3, 10, 8, 3], 2)
    whole, sliced = (goal_search(network, boxed(np.zeros(3), 0.7), 0, 1) for _ in range(2))
    for search in (whole, sliced):
        search._accept = lambda _: False
    end = whole.run(100_000, Deadline())
    verdict = Verdict.OPEN
    for _ in range(100_000):
        verdict = sliced.run(1, Deadline())
        if verdict is not Verdict.OPEN or sliced.stuck:
            break
    assert (verdict, sliced.programs, sliced.stuck) == (end, whole.programs, whole.stuck)


def test_a_deadline_that_has_passed_leaves_the_goal_open() -> None:
    search = goal_search(random_mlp([2, 6, 4, 3], 1), boxed(np.zeros(2), 1.0), 0, 1)
    assert search.run(10, Deadline.after(0.0)) is Verdict.OPEN
    assert search.programs == 0
    assert not search.stuck


def test_moving_there_and_back_restores_the_root() -> None:
    relaxation = relaxed(random_mlp([2, 8, 6, 3], 5), boxed(np.zeros(2), 1.0))
    relaxation.aim(0)
    root = relaxation.answer(-np.inf, Deadline()).ceiling
    free = [int(k) + 1 for k in np.flatnonzero(relaxation.free)]
    a, b, c = free[:3]
    for path in ((a,), (a, -b), (-a, c, b), (), (c, -b), ()):
        relaxation.move(path)
        inside = relaxation.answer(-np.inf, Deadline()).ceiling
        assert inside <= root + 1e-9
    assert inside == pytest.approx(root, abs=1e-9)


def test_bounds_that_are_zero_but_for_rounding_do_not_spoil_the_program() -> None:
    """On [0, 1]^2 the neurons ``x_0`` and ``x_0 + x_1`` have lower bounds of -1e-16 or so: no row may need huge entries."""
    rng = np.random.default_rng(4)
    first = np.vstack([[1.0, 0.0], [1.0, 1.0], rng.normal(size=(10, 2))])
    network = mlp(
        [first, rng.normal(size=(4, 12)), rng.normal(size=(2, 4))],
        [np.r_[0.0, 0.0, rng.normal(size=10)], np.zeros(4), [9.0, 0.0]],
    )
    relaxation = relaxed(network, Regions(np.zeros((1, 2)), np.ones((1, 2))))
    assert np.abs(relaxation.lp.program.matrix.data).max() < 2.0**40
    relaxation.aim(0)
    assert np.isfinite(relaxation.answer(0.0, Deadline()).ceiling)


def test_a_source_that_is_read_twice_is_charged_for_the_sum_of_its_weights() -> None:
    """h = 2^55 x + x - 2^55 x is x, but the two large weights swallow the 1 in float64: no wrong closure may follow."""
    big = 2.0**55
    one = csr_array(np.array([[1.0]]))
    nodes = {
        "x": Node(Input(1)),
        "h": Node(Affine((big * one, one, -big * one), np.zeros(1)), ("x", "x", "x")),
        "r": Node(Relu(1), ("h",)),
        "f": Node(Affine((csr_array(np.array([[0.0], [1.0]])),), np.array([0.0, -0.75])), ("r",)),
    }
    record = distance(Network.from_nodes(nodes, "f"), [0.5], 0)
    assert record.distance.lower <= 0.25 <= record.distance.upper
