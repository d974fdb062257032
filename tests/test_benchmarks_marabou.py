"""The comparison with Marabou: its summary, the schedule of its queries, and what it is asked. Marabou itself is not needed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import marabou, side_marabou
from benchmarks.distances import INSTANCES
from benchmarks.published import Instance
from benchmarks.settings import Settings, Unavailable
from benchmarks.warm import unit_box


def instance() -> Instance:
    return Instance("acasxu", Path("net.onnx.gz"), Path("prop.vnnlib.gz"), 60.0, "unsat")


def test_marabou_ratios_are_over_what_both_decide() -> None:
    sides = [("unsat", 1.0, "unsat", 2.0), ("unsat", 1.0, "sat", 8.0), ("timeout", 9.0, "unsat", 1.0)]
    pairs = [marabou.Pair(instance(), marabou.Side(a, x, 1.0), marabou.Side(b, y, 0.5)) for a, x, b, y in sides]
    cells = marabou.row("acasxu", pairs)
    assert cells[2:5] == ("2", "0", "1")
    assert cells[9:12] == ("2", "1", "0")
    assert cells[-3:] == ("2", "4.00", "5.00")
    assert "DISAGREE: acasxu net prop: unsat, Marabou sat" in marabou.summary(pairs)


class Scripted:
    """Answers of a solver to its queries, by name, in turn."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers, self.asked = answers, []

    def query(self, disjunct: Any) -> Any:
        return disjunct

    def solve(self, query: str, limit: float) -> str:
        assert limit > 0
        self.asked.append(query)
        return self.answers[query].pop(0)


@pytest.mark.parametrize(
    ("answers", "verdict", "asked"),
    [
        ({"a": ["unsat"], "b": ["unsat"]}, "unsat", "ab"),
        ({"a": ["TIMEOUT"], "b": ["sat"]}, "sat", "ab"),
        ({"a": ["TIMEOUT", "unsat"], "b": ["unsat"]}, "unsat", "aba"),
        ({"a": ["TIMEOUT", "TIMEOUT"], "b": ["unsat"]}, "timeout", "aba"),
        ({"a": ["TIMEOUT"]}, "timeout", "a"),
    ],
)
def test_marabou_gets_a_second_round_for_open_disjuncts(answers: dict[str, list[str]], verdict: str, asked: str) -> None:
    solver = Scripted(**answers)
    assert side_marabou.decide(solver, list(answers), 60.0)[0] == verdict
    assert "".join(solver.asked) == asked


def test_marabou_is_asked_about_every_disjunct(tmp_path: Path) -> None:
    text = unit_box(4, 3) + "(assert (or (and (>= Y_0 Y_1)) (and (<= (+ Y_2 0.25) 0.75))))"
    (tmp_path / "p.vnnlib").write_text(text, encoding="utf-8")
    model = INSTANCES / "iris" / "iris-16-16.onnx"
    first, second = marabou.disjuncts(Instance("iris", model, tmp_path / "p.vnnlib", 1.0, "sat"))
    assert (first["lower"], first["upper"], first["input_rows"]) == ([0.0] * 4, [1.0] * 4, [])
    assert first["output_rows"] == [[[[0, 1.0], [1, -1.0]], 0.0]]
    assert second["output_rows"] == [[[[2, -1.0]], 0.5]]


def test_an_interpreter_without_marabou_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="--marabou-python cannot import maraboupy"):
        marabou.marabou_python(Settings(marabou_python=tmp_path / "absent"))


def test_a_side_that_fails_is_an_error_and_no_exception(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert marabou._side([sys.executable, "-c", "raise SystemExit('no memory')"], 5.0, tmp_path).verdict == "error"
    assert "no memory" in capsys.readouterr().err
