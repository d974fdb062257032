"""Properties shared over worker processes: the same answers, nothing lost with a process, and no process left."""

from __future__ import annotations

import json
import os
import signal
import time
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.children import start_script
from tests.deadly_backend import DeadlyBackend
from tests.networks import random_mlp
from tests.test_verify import write
from wdaverify._errors import AuditError, InputError
from wdaverify.bracket import Evidence
from wdaverify.cli.main import main
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.to_onnx import to_onnx
from wdaverify.parallel.executors import SpawnExecutor
from wdaverify.parallel.message import decode, encode
from wdaverify.property import box_search, close, run
from wdaverify.property.box_search import deal_boxes
from wdaverify.property.case import Case
from wdaverify.property.close import BoxQuestion
from wdaverify.property.verify import PropertyVerdict, verify
from wdaverify.property.work import Frontier
from wdaverify.search.box_stack import Entry

pytestmark = pytest.mark.usefixtures("_no_process_is_left")


@pytest.fixture
def _tiny_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """No attack, nothing done alone, and turns so short that there are many. Budgets travel with the work."""
    monkeypatch.setattr(run, "quick_attack", lambda case, *, seed: False)
    monkeypatch.setattr(run, "_ALONE", 0.0)
    monkeypatch.setattr(close, "_FIRST", 1e-3)
    monkeypatch.setattr(close, "_LEAST_PROGRAMS", 1)
    monkeypatch.setattr(box_search, "_LEAST_PART", 1)


@pytest.fixture
def generations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of pieces of every stage."""
    sizes: list[int] = []
    honest = run.Run._work

    def counted(self, executor, pieces):
        sizes.append(len(pieces))
        honest(self, executor, pieces)

    monkeypatch.setattr(run.Run, "_work", counted)
    return sizes


def thresholds(*levels: float) -> str:
    parts = [f"(and (>= (- Y_1 Y_0) {level}))" for level in levels]
    return f"(assert (or {' '.join(parts)}))" if len(parts) > 1 else f"(assert (>= (- Y_1 Y_0) {levels[0]}))"


# Sizes and seed of a network, what is asked, and the verdict (test_verify_milp.py asks a solver about the same).
REACH_GENERATIONS = {
    "boxes-unsat": ([3, 16, 16, 2], 1, thresholds(2.4), "unsat"),
    "boxes-sat": ([3, 24, 24, 2], 0, thresholds(1.3745), "sat"),
    "phases-unsat": ([12, 16, 16, 2], 1, thresholds(-0.178), "unsat"),
    "phases-sat": ([12, 16, 16, 2], 1, thresholds(-0.2405), "sat"),
    "disjuncts-sat": ([12, 16, 16, 2], 1, thresholds(0.1, -0.24, -0.25), "sat"),
    "regions-unsat": (
        [3, 16, 16, 2],
        1,
        "(assert (or (and (<= X_0 0) (>= (- Y_1 Y_0) 2.4)) (and (>= X_0 0.1) (>= (- Y_1 Y_0) 2.4))))",
        "unsat",
    ),
}


@pytest.mark.usefixtures("_tiny_budgets")
@pytest.mark.parametrize("name", REACH_GENERATIONS)
def test_the_number_of_workers_changes_nothing(name: str, tmp_path: Path, generations: list[int]) -> None:
    sizes, seed, assertion, verdict = REACH_GENERATIONS[name]
    network = random_mlp(sizes, seed)
    path = write(tmp_path / "p.vnnlib", sizes[0], 2, assertion)
    answers, shapes = [], []
    for workers in (1, 2, 3) if name == "phases-sat" else (1, 2):
        generations.clear()
        answers.append(verify(network, path, workers=workers))
        shapes.append(list(generations))
    assert answers[0].verdict == verdict
    assert sum(size > 1 for size in shapes[0]) >= 1
    assert all(shape == shapes[0] for shape in shapes)
    for other in answers[1:]:
        assert (other.verdict, other.nodes, other.evidence) == (answers[0].verdict, answers[0].nodes, Evidence.CHECKED)
        assert (other.witness is None) == (answers[0].witness is None)
        assert other.witness is None or other.witness.tobytes() == answers[0].witness.tobytes()
    if answers[0].witness is not None:
        x = [Fraction(v) for v in answers[0].witness.tolist()]
        assert answers[0].property.holds(x, exact_forward(network, x))


def hard(tmp_path: Path):
    """A network and a property that only a search decides: unsat."""
    return random_mlp([12, 16, 16, 2], 1), write(tmp_path / "p.vnnlib", 12, 2, thresholds(-0.1))


def deadly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str, times: int) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    backend = DeadlyBackend(way, times=times, marks=marks)
    monkeypatch.setattr("wdaverify.property.verify.get_backend", lambda name: backend)


@pytest.mark.usefixtures("_tiny_budgets")
def test_a_worker_that_dies_once_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, path = hard(tmp_path)
    alone = verify(network, path)
    deadly(monkeypatch, tmp_path, "SIGKILL", 1)
    with pytest.warns(RuntimeWarning, match="a part of the search stays open: a worker process was killed by SIGKILL"):
        answer = verify(network, path, workers=2)
    assert (answer.verdict, answer.nodes) == (PropertyVerdict.UNSAT, alone.nodes)


@pytest.mark.usefixtures("_tiny_budgets")
@pytest.mark.parametrize("inputs", [3, 12])
def test_what_kills_every_worker_is_unknown_and_never_unsat(inputs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_mlp([inputs, 16, 16, 2], 1)
    path = write(tmp_path / "p.vnnlib", inputs, 2, thresholds(-0.1 if inputs == 12 else 2.4))
    assert verify(network, path).verdict is PropertyVerdict.UNSAT
    deadly(monkeypatch, tmp_path, "SIGKILL", 100)
    with pytest.warns(RuntimeWarning, match="stays open"):
        answer = verify(network, path, workers=2)
    assert (answer.verdict, answer.evidence) == (PropertyVerdict.UNKNOWN, None)


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny_budgets")
def test_a_worker_that_hangs_past_the_limit_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, path = hard(tmp_path)
    deadly(monkeypatch, tmp_path, "hang", 100)
    monkeypatch.setattr(run, "open_executor", partial(SpawnExecutor, grace=0.5))
    started = time.monotonic()
    with pytest.warns(RuntimeWarning, match="long after its deadline"):
        answer = verify(network, path, workers=2, time_limit=3.0)
    assert answer.verdict is PropertyVerdict.TIMEOUT
    assert time.monotonic() - started < 30.0


@pytest.mark.usefixtures("_tiny_budgets")
def test_a_time_limit_with_workers_is_a_timeout(tmp_path: Path) -> None:
    path = write(tmp_path / "p.vnnlib", 12, 2, thresholds(7.054))
    answer = verify(random_mlp([12, 20, 20, 2], 1), path, workers=2, time_limit=1.5)
    assert answer.verdict is PropertyVerdict.TIMEOUT


@pytest.mark.usefixtures("_tiny_budgets")
def test_a_worker_cannot_invent_a_counterexample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last look at a witness does not trust whoever found it."""
    network, path = hard(tmp_path)
    monkeypatch.setattr(Case, "accept", lambda self, point: setattr(self, "witness", point) is None)
    with pytest.raises(AuditError, match="counterexample"):
        verify(network, path)


def test_nothing_is_started_for_what_the_first_turns_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "open_executor", lambda *_, **__: pytest.fail("opened an executor"))
    path = write(tmp_path / "p.vnnlib", 3, 2, thresholds(4.0))
    assert verify(random_mlp([3, 8, 8, 2], 1), path, workers=4).verdict in ("sat", "unsat")


def test_a_part_that_is_out_is_open() -> None:
    frontier = Frontier((1, 2, 3), len, lambda parts, most: [tuple(v for part in parts for v in part)])
    ((part, before),) = frontier.take(4)
    assert (part, before, frontier.empty, frontier.whole) == ((1, 2, 3), False, False, False)
    assert frontier.lose(part, before=False)
    ((part, before), _) = frontier.take(4)
    assert (part, before) == ((1, 2, 3), True)
    assert not frontier.lose(part, before=True)


def test_boxes_are_dealt_without_loss(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    question = hard_question(tmp_path)
    root = box_search._root(question.frame)
    parts = [Entry.whole(type(root)(*(np.repeat(getattr(root, n), k, axis=0) + rng.random((k, 1)) for n in
             ("lower", "upper", "low", "high"))), 2) for k in (5, 0, 60)]  # fmt: skip
    for most in (1, 3, 16, 1000):
        dealt = deal_boxes(parts, most)
        assert len(dealt) <= most
        assert all(entry.boxes.count for entry in dealt)
        together = np.concatenate([entry.boxes.lower for entry in dealt])
        wanted = np.concatenate([entry.boxes.lower for entry in parts])
        assert sorted(map(tuple, together)) == sorted(map(tuple, wanted))
    assert deal_boxes([parts[1]], 3) == []


def hard_question(tmp_path: Path) -> BoxQuestion:
    from wdaverify._deadline import Deadline
    from wdaverify.program.backend import get_backend
    from wdaverify.property.vnnlib import load_property

    network, path = random_mlp([3, 24, 24, 2], 0), write(tmp_path / "q.vnnlib", 3, 2, thresholds(1.607))
    backend = get_backend("highs")
    disjuncts = load_property(path, inputs=3, outputs=2).disjuncts
    cases = [Case(network, disjunct, backend, Deadline()) for disjunct in disjuncts]
    return BoxQuestion(network, cases, backend, Deadline(), seed=0)


@pytest.mark.usefixtures("_tiny_budgets")
def test_work_is_a_pure_function_that_survives_the_journey(tmp_path: Path) -> None:
    """Twice here, and once as a worker would see it: the same boxes are left."""
    question = hard_question(tmp_path)
    for stage in (question.split, question.search):
        for piece in stage(4):
            first, second, sent = piece.work(), piece.work(), decode(encode(piece.work))()
            assert first.spent == second.spent == sent.spent
            for other in (second, sent):
                assert encode(other.rest) == encode(first.rest)
            piece.absorb(first)
        question.settle()


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_a_bad_number_of_workers_is_refused(workers: object, tmp_path: Path) -> None:
    network, path = hard(tmp_path)
    with pytest.raises(InputError, match="workers"):
        verify(network, path, workers=workers)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--workers", "0"], "--workers"),
        (["--workers", "two"], "--workers"),
        (["--engine", "simplex"], "--engine"),
        (["--engine", "search", "--solver", "cbc"], "--engine"),
        (["--solver", "glop"], "--solver"),
    ],
)
def test_bad_options_are_one_line(options: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to_onnx(random_mlp([3, 4, 2], 0), tmp_path / "m.onnx")
    path = write(tmp_path / "p.vnnlib", 3, 2, thresholds(1.0))
    output = tmp_path / "r.json"
    assert main(["verify", str(tmp_path / "m.onnx"), str(path), *options, "--output", str(output)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert named in err
    assert not output.exists()


SCRIPT = """
import sys
from pathlib import Path
from tests.networks import random_mlp
from wdaverify.property import close, run
from wdaverify.property.verify import verify
from tests.children import children
if __name__ == "__main__":
    run._ALONE, run.quick_attack = 0.0, lambda case, *, seed: False
    close._FIRST = 1e-3
    print("begun", flush=True)
    try:
        verify(random_mlp([12, 30, 30, 30, 2], 1), Path(sys.argv[1]), workers=2)
    except KeyboardInterrupt:
        print(children(), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("patience", [0.1, 4.0])
def test_a_real_ctrl_c_leaves_no_process(tmp_path: Path, patience: float) -> None:
    path = write(tmp_path / "p.vnnlib", 12, 2, thresholds(9.0))
    process = start_script(tmp_path / "search.py", SCRIPT.replace("sys.argv[1]", repr(str(path))))
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(patience)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err, json.loads(out)) == (0, "", [])
