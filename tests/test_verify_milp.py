"""The second opinion on properties: it agrees with the search, says that it is a solver's word, and no lie becomes sat."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.networks import mlp, random_mlp, random_residual
from tests.test_verify import largest_difference, write
from tests.test_verify_workers import REACH_GENERATIONS, thresholds
from wdaverify.bracket import Evidence
from wdaverify.cli.main import main
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.to_onnx import to_onnx
from wdaverify.program.backend import get_backend
from wdaverify.program.result import SolveResult, Status
from wdaverify.property import run
from wdaverify.property.verify import PropertyVerdict, verify


@pytest.fixture
def _no_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the engine can find a point."""
    monkeypatch.setattr(run, "quick_attack", lambda case, *, seed: False)


def random_property(folder: Path, seed: int) -> Path:
    """Conjunctions of rows of outputs, exact decimals, strict ones, rows of inputs, a disjunction."""
    rng = np.random.default_rng(seed)

    def row(kind: str) -> str:
        a, b, c = (f"{v:.3f}" for v in (*rng.normal(size=2), rng.normal()))
        return f"({rng.choice(['>', '>=', '<', '<='])} (+ (* {a} {kind}_0) (* {b} {kind}_1)) {c})"

    parts = [f"(and {row('Y')} {row('Y')} {row('X')})" for _ in range(3)]
    return write(folder / f"{seed}.vnnlib", 2, 2, f"(assert (or {' '.join(parts)}))")


@pytest.mark.usefixtures("_no_attack")
@pytest.mark.parametrize("seed", range(10))
def test_the_engines_agree_on_random_properties(seed: int, tmp_path: Path) -> None:
    network = random_mlp([2, 6, 5, 2], seed) if seed % 2 else random_residual(seed, 2, 5, 2)
    path = random_property(tmp_path, seed)
    search, milp = verify(network, path, time_limit=60), verify(network, path, engine="milp", time_limit=60)
    assert search.verdict in ("sat", "unsat")
    assert milp.verdict == search.verdict
    assert search.evidence is Evidence.CHECKED
    if milp.witness is not None:
        x = [Fraction(v) for v in milp.witness.tolist()]
        assert milp.property.holds(x, exact_forward(network, x))
        assert milp.evidence is Evidence.CHECKED


@pytest.mark.usefixtures("_no_attack")
@pytest.mark.parametrize("solver", ["highs", "cbc"])
@pytest.mark.parametrize("seed", range(3))
def test_thresholds_agree_with_enumeration_and_say_solver(seed: int, solver: str, tmp_path: Path) -> None:
    network = random_mlp([2, 6, 4, 2], seed)
    best = largest_difference(network)
    below = write(tmp_path / "below.vnnlib", 2, 2, thresholds(round(best - 1e-4, 9)))
    above = write(tmp_path / "above.vnnlib", 2, 2, thresholds(round(best + 1e-4, 9)))
    sat, unsat = (verify(network, path, engine="milp", solver=solver) for path in (below, above))
    assert (sat.verdict, sat.evidence) == (PropertyVerdict.SAT, Evidence.CHECKED)
    assert (unsat.verdict, unsat.evidence) == (PropertyVerdict.UNSAT, Evidence.SOLVER)


@pytest.mark.usefixtures("_no_attack")
def test_what_lies_within_the_tolerances_is_unknown(tmp_path: Path) -> None:
    """``Y_1 - Y_0 > max`` is unsat by no more than nothing: a solver cannot know."""
    network = mlp([np.eye(1), [[1.0], [-1.0]]], [np.zeros(1), [0.0, 0.5]])  # Y_0 = relu(x), at most 1
    strict = write(tmp_path / "p.vnnlib", 1, 2, "(assert (> Y_0 1.0))")
    assert verify(network, strict, engine="search").verdict is PropertyVerdict.UNSAT
    answer = verify(network, strict, engine="milp")
    assert (answer.verdict, answer.evidence) == (PropertyVerdict.UNKNOWN, None)


@pytest.mark.usefixtures("_no_attack")
@pytest.mark.parametrize("name", ["phases-unsat", "regions-unsat"])
def test_what_the_search_closes_in_generations_a_solver_denies(name: str, tmp_path: Path) -> None:
    sizes, seed, assertion, verdict = REACH_GENERATIONS[name]
    path = write(tmp_path / "p.vnnlib", sizes[0], 2, assertion)
    answer = verify(random_mlp(sizes, seed), path, engine="milp")
    assert (answer.verdict, answer.evidence) == (verdict, Evidence.SOLVER)


@pytest.mark.usefixtures("_no_attack")
def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    network = random_mlp([2, 6, 4, 2], 1)
    best = largest_difference(network)
    path = write(tmp_path / "p.vnnlib", 2, 2, thresholds(*(round(best + level, 9) for level in (0.01, -0.01, -0.1))))
    one, two = (verify(network, path, engine="milp", workers=workers) for workers in (1, 2))
    assert one.verdict is two.verdict is PropertyVerdict.SAT
    assert one.witness is not None
    assert two.witness is not None
    assert one.witness.tobytes() == two.witness.tobytes()


class Liar:
    """A backend whose mixed-integer programs lie in a chosen way."""

    name, version = "liar", "0"

    def __init__(self, kind: str) -> None:
        self.kind, self.honest = kind, get_backend("highs")
        self.capabilities = self.honest.capabilities

    def open(self, program):
        return self.honest.open(program)

    def solve(self, program, options):
        result = self.honest.solve(program, options)
        if not program.is_mixed_integer:
            return result
        match self.kind:
            case "nan":
                return replace(result, primal=None, bound=np.nan)
            case "failed":
                return SolveResult(status=Status.FAILED, bound=np.inf)
            case "point":
                return replace(result, primal=np.full(program.columns, 1e9), bound=1e9)
            case "nan point":
                return replace(result, primal=np.full(program.columns, np.nan), bound=1e9)
            case "denies its own point":
                return replace(result, bound=-1.0)
            case "denies":
                return SolveResult(status=Status.INFEASIBLE, bound=-np.inf)
        raise AssertionError(self.kind)


def lied_to(kind: str, level: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The answer about ``Y_1 - Y_0 >= max + level`` of somebody who is lied to."""
    network = random_mlp([2, 6, 4, 2], 1)
    monkeypatch.setattr("wdaverify.property.verify.get_backend", lambda name: Liar(kind))
    path = write(tmp_path / "p.vnnlib", 2, 2, thresholds(round(largest_difference(network) + level, 9)))
    return verify(network, path, engine="milp")


@pytest.mark.usefixtures("_no_attack")
@pytest.mark.parametrize("kind", ["nan", "failed", "point", "nan point"])
@pytest.mark.parametrize("level", [-0.01, 0.01])
def test_lies_about_points_and_bounds_are_unknown(
    kind: str, level: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = lied_to(kind, level, tmp_path, monkeypatch)
    assert answer.verdict is PropertyVerdict.UNKNOWN or (answer.verdict is PropertyVerdict.SAT and level < 0)


@pytest.mark.usefixtures("_no_attack")
def test_a_solver_that_denies_its_own_point_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lied_to("denies its own point", -0.01, tmp_path, monkeypatch).verdict is PropertyVerdict.SAT


def test_a_solver_that_denies_a_point_that_the_attack_knows_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lied_to("denies", -0.5, tmp_path, monkeypatch).verdict is PropertyVerdict.SAT


@pytest.mark.usefixtures("_no_attack")
def test_a_denial_is_marked_as_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = lied_to("denies", -0.01, tmp_path, monkeypatch)  # false: nothing here could tell
    assert (answer.verdict, answer.evidence) == (PropertyVerdict.UNSAT, Evidence.SOLVER)


@pytest.mark.usefixtures("_no_attack")
def test_programs_that_rounding_swamps_prove_nothing(tmp_path: Path) -> None:
    """Weights so large that a solver's "infeasible" means nothing."""
    network = mlp([1e12 * np.array([[1.0, 1.0], [1.0, -1.0]]), [[1.0, -1.0], [1e-9, 1.0]]], [np.zeros(2), np.zeros(2)])
    path = write(tmp_path / "p.vnnlib", 2, 2, "(assert (and (>= Y_0 1.9e12) (>= Y_1 1e11)))")
    assert verify(network, path, engine="milp").verdict is PropertyVerdict.UNKNOWN


@pytest.mark.parametrize("engine", ["search", "milp"])
@pytest.mark.parametrize("inputs", [2, 12])
def test_rows_of_inputs_alone_can_exclude_every_point(engine: str, inputs: int, tmp_path: Path) -> None:
    path = write(tmp_path / "p.vnnlib", inputs, 2, "(assert (>= (+ X_0 X_1) 3))")
    assert verify(random_mlp([inputs, 6, 2], 0), path, engine=engine).verdict is PropertyVerdict.UNSAT
    path = write(tmp_path / "p.vnnlib", inputs, 2, "(assert (>= (+ X_0 X_1) 1.5))")
    assert verify(random_mlp([inputs, 6, 2], 0), path, engine=engine).verdict is PropertyVerdict.SAT


@pytest.mark.parametrize(
    ("options", "engine", "evidence"),
    [
        ([], "search", "proved"),
        (["--no-proof"], "search", "checked"),
        (["--engine", "milp", "--no-proof"], "milp", "solver"),
        (["--solver", "cbc", "--no-proof"], "milp", "solver"),
        (["--engine", "milp"], "milp", "proved"),  # a solver's word, confirmed by a proof of our own
    ],
)
def test_the_file_says_what_the_verdict_rests_on(
    options: list[str], engine: str, evidence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = random_mlp([2, 6, 4, 2], 1)
    to_onnx(network, tmp_path / "m.onnx")
    path = write(tmp_path / "p.vnnlib", 2, 2, thresholds(round(largest_difference(network) + 1e-3, 9)))
    command = ["verify", str(tmp_path / "m.onnx"), str(path), *options, "--output", str(tmp_path / "r.json")]
    assert main(command) == 0
    assert capsys.readouterr().out == "unsat\n"
    document = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (document["verdict"], document["evidence"], document["options"]["engine"]) == ("unsat", evidence, engine)


def test_no_time_is_a_timeout(tmp_path: Path) -> None:
    path = write(tmp_path / "p.vnnlib", 2, 2, "(assert (>= Y_0 1000.0))")
    answer = verify(random_mlp([2, 20, 20, 2], 0), path, engine="milp", time_limit=1e-9)
    assert (answer.verdict, answer.evidence) == (PropertyVerdict.TIMEOUT, None)
