"""The benchmarks: sections, arithmetic, the published data, and a tiny run. Nothing here asserts a time."""

from __future__ import annotations

import doctest
import gzip
import importlib
import math
from datetime import date
from pathlib import Path

import pytest

from benchmarks import distances, verdicts
from benchmarks.arithmetic import geometric_mean, much_slower, ratio, spread, total_ratio
from benchmarks.command import main, public_command
from benchmarks.published import Instance, instances, unpacked
from benchmarks.registry import BENCHMARKS
from benchmarks.results import render, replace_section
from benchmarks.settings import Section, Settings, Unavailable

OLD = "# Results\n\nPreface.\n\n## First\n\nold\n\n### Detail\n\nold too\n\n## First and more\n\nkept\n"


def test_a_section_is_replaced_and_the_others_are_kept() -> None:
    assert replace_section(OLD, "First", "new\n") == "# Results\n\nPreface.\n\n## First\n\nnew\n\n## First and more\n\nkept\n"


def test_a_new_section_goes_to_the_end_and_twice_is_once() -> None:
    once = replace_section(OLD, "Second", "new")
    assert once == OLD + "\n## Second\n\nnew\n"
    assert replace_section(once, "Second", "new") == once


def test_a_section_into_an_empty_file() -> None:
    assert replace_section("", "A", "body") == "## A\n\nbody\n"


def test_a_section_says_when_how_and_where() -> None:
    section = Section(measured="What.", header=("a", "b"), rows=(("1", "2"),), summary="All.", versions={"other": "9.9"})
    first, measured, table, summary = render(section, day=date(2030, 1, 2), command="python x").split("\n\n")
    assert first.startswith("2030-01-02, `python x`; ")
    assert "cores" in first
    assert "highspy " in first
    assert "other 9.9" in first
    assert (measured, table, summary) == ("What.", "| a | b |\n| --- | --- |\n| 1 | 2 |", "All.")


def test_the_quoted_command_names_no_place_of_this_machine() -> None:
    words = ["distances", "marabou", "--data", "/here", "--marabou-python=/there", "--only", "a b"]
    expected = "python benchmarks/run.py marabou --data FOLDER --marabou-python=PYTHON --only 'a b'"
    assert public_command(words, "marabou") == expected


@pytest.mark.parametrize("module", ["arithmetic", "command", "results", "settings"])
def test_examples_in_docstrings(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"benchmarks.{module}"))
    assert (failed, tried > 0) == (0, True)


def test_arithmetic() -> None:
    assert geometric_mean([0.5, 2.0, 8.0]) == pytest.approx(2.0)
    assert math.isnan(geometric_mean([]))
    assert ratio(1.0, 0.0) == 1.0 / 1e-4
    assert total_ratio([(1.0, 2.0), (3.0, 10.0)]) == 3.0
    assert math.isnan(total_ratio([]))
    assert spread([4.0, 1.0, 2.0, 3.0]) == (10.0, 2.5, 4.0)
    assert much_slower([(4.0, 2.0), (3.9, 2.0), (9.0, 1.0), (2.0, 4.0)]) == 1


def sample(unstable: int, search: float, milp: float, *, lower: float = 1.0, exact: bool = True) -> distances.Sample:
    ours, other = distances.Side(search, True, 1.0, 1.0), distances.Side(milp, exact, lower, 2.0)
    return distances.Sample(unstable, {"search": ours, "milp": other})


def test_distances_restrict_the_ratio_to_hard_samples() -> None:
    samples = [sample(39, 4.0, 2.0), sample(40, 1.0, 10.0, exact=False), sample(50, 1.0, 30.0, lower=1.1)]
    cells = dict(zip(distances.HEADER[12:], distances.row("net", "l1", samples)[12:], strict=True))
    assert cells == {"milp / search": "7.00", "hard samples": "2", "milp / search, hard": "20.0", "2x slower": "1"}
    assert distances.row("net", "l1", samples)[:12] == (
        "net", "l1", "3", "40", "6.00", "1.00", "4.00", "3", "42.0", "10.0", "30.0", "2",
    )  # fmt: skip
    summary = distances.summary(samples)
    assert "search closed 3, milp 2; total milp / search 7.00; on the 2 with at least 40 unstable neurons 20.0." in summary
    assert "exclude each other: 1 samples" in summary


def instance(expected: str = "unsat", *, family: str = "acasxu") -> Instance:
    return Instance(family, Path("net.onnx.gz"), Path("prop.vnnlib.gz"), 60.0, expected)


def test_verdicts_count_wrong_answers_apart_from_missing_ones() -> None:
    outcomes = [verdicts.Outcome(instance(), verdict, 1.0) for verdict in ("unsat", "sat", "timeout", "SolverError")]
    assert verdicts.row("acasxu", outcomes) == ("acasxu", "4", "1", "1", "2", "4.00", "1.00", "1.00")
    assert "WRONG: acasxu net prop: sat" in verdicts.summary(outcomes)


def published(folder: Path, count: int) -> Path:
    """A folder of data with nothing but names, and one packed file."""
    rows = [f"acasxu,onnx/n.onnx,vnnlib/p{k}.vnnlib,10,unsat_disputed,,,," for k in range(count)]
    header = "family,onnx,vnnlib,timeout_s,verdict,nnenum_s,abcrown_s,marabou_s,neuralsat_s"
    (folder / "verdicts.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    (folder / "acasxu" / "onnx").mkdir(parents=True)
    (folder / "acasxu" / "onnx" / "n.onnx.gz").write_bytes(gzip.compress(b"network"))
    return folder


def test_published_instances_are_chosen_and_unpacked(tmp_path: Path) -> None:
    data = published(tmp_path, 6)
    found = instances(Settings(data=data, stride=4), "acasxu")
    assert [one.name for one in found] == ["acasxu n p0", "acasxu n p4"]
    assert {one.expected for one in found} == {"unsat"}
    assert [one.name for one in instances(Settings(data=data, only=("p5",)), "acasxu")] == ["acasxu n p5"]
    folder = tmp_path / "plain"
    folder.mkdir()
    assert unpacked(found[0].model, folder).read_bytes() == b"network"
    with pytest.raises(Unavailable, match="no instance of oval21"):
        instances(Settings(data=data), "oval21")


def test_absent_data_skip_a_benchmark_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WDAVERIFY_BENCHMARK_DATA", raising=False)
    assert main(["verdicts", "--out", str(tmp_path / "results.md")]) == 0
    assert "skipped: the published data are absent" in capsys.readouterr().out
    assert not (tmp_path / "results.md").exists()


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["distance"]) == 2
    assert "unknown benchmark 'distance'; there are distances, verdicts" in capsys.readouterr().err


def test_a_tiny_run_writes_its_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.md"
    out.write_text("# Results\n\n## Other\n\nkept\n", encoding="utf-8")
    assert main(["distances", "--samples", "2", "--only", "iris-16-16 linf", "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# Results\n\n## Other\n\nkept\n\n## Branch and bound against one MILP per class\n\n")
    assert "--only 'iris-16-16 linf' --out FILE`" in text
    assert "| iris-16-16 | linf | 2 | " in text
    assert "Both engines on 2 samples: search closed 2, milp 2;" in text
    assert "brackets that exclude each other: 0 samples" in text
    assert "iris-16-16 linf 1: " in capsys.readouterr().out


def test_titles_are_distinct() -> None:
    assert len({benchmark.title for benchmark in BENCHMARKS.values()}) == len(BENCHMARKS)
