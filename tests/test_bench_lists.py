"""Reading lists, the table, and comparisons."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from wdaverify._errors import InputError
from wdaverify.bench.compare import compare
from wdaverify.bench.instance_list import read_instances
from wdaverify.bench.outcome import Outcome
from wdaverify.bench.results import as_csv, row
from wdaverify.cli.main import main

DATA = Path(__file__).parent / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("m.onnx", "p.vnnlib", "d.npz", "box.npz"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m.onnx\n", "line 1: 1 cells"),
        ("m.onnx,p.vnnlib,1,2\n", "line 1: 4 cells"),
        ("m.onnx,p.vnnlib,soon\n", "timeout 'soon'"),
        ("m.onnx,p.vnnlib,-1\n", "timeout '-1'"),
        ("m.onnx,p.vnnlib,inf\n", "timeout 'inf'"),
        ("m.onnx,p.vnnlib\n\nm.onnx,q.vnnlib\n", "line 3: there is no file 'q.vnnlib'"),
        ("", "no instances"),
        ("command,model\n", "no instances"),
        ("command,model,colour\nlipschitz,m.onnx,red\n", "unknown column 'colour'"),
        ("command,model,model\nlipschitz,m.onnx,m.onnx\n", "named twice"),
        ("command,radius\ncertify,1\n", "no column 'model'"),
        ("command,model\nguess,m.onnx\n", "'guess' is no command of a list"),
        ("command,model,radius\nlipschitz,m.onnx,1\n", "lipschitz has no option 'radius'"),
        ("command,model,data\ndistance,m.onnx,\n", "distance needs a data"),
        ("command,model,property\nverify,m.onnx,\n", "verify needs a property"),
        ("command,model,property\ncertify,m.onnx,p.vnnlib\n", "certify takes no property"),
        ("command,model,domain\nlipschitz,m.onnx,gone.npz\n", "there is no file 'gone.npz'"),
        ('"m.onnx,p.vnnlib\n', "not a sound CSV"),
    ],
)
def test_what_is_no_list_is_refused_with_its_line(folder: Path, text: str, message: str) -> None:
    (folder / "list.csv").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_instances(folder / "list.csv")
    assert "list.csv" in str(caught.value)


def test_marks_line_ends_packing_and_empty_lines_do_not_matter(folder: Path) -> None:
    plain = "m.onnx,p.vnnlib,10\nm.onnx,p.vnnlib\n"
    (folder / "a.csv").write_text(plain)
    (folder / "b.csv").write_bytes(b"\xef\xbb\xbf" + plain.replace("\n", "\r\n\r\n").encode())
    (folder / "c.csv.gz").write_bytes(gzip.compress(plain.encode()))
    lists = [read_instances(folder / name) for name in ("a.csv", "b.csv", "c.csv.gz")]
    assert lists[0] == lists[1] == lists[2]
    assert [i.timeout for i in lists[0]] == [10.0, None]
    assert [i.timeout for i in read_instances(folder / "a.csv", timeout=3)] == [3, 3]


def test_a_truncated_pack_is_refused(folder: Path) -> None:
    (folder / "c.csv.gz").write_bytes(gzip.compress(b"m.onnx,p.vnnlib\n" * 99)[:-9])
    with pytest.raises(InputError, match="cannot be read"):
        read_instances(folder / "c.csv.gz")


def test_columns_become_options(folder: Path) -> None:
    text = 'command,model,data,radius,norm,functional,domain,timeout\ncertify,m.onnx,d.npz,"0.1,0.2",l1,,,7\n'
    (folder / "list.csv").write_text(text + "lipschitz,m.onnx,,,,margin:0-1;logit:0,box.npz,\n")
    first, second = read_instances(folder / "list.csv")
    out = folder / "o.json"
    assert first.arguments(out) == [
        "certify", str(folder / "m.onnx"), "--data", str(folder / "d.npz"), "--radius=0.1,0.2", "--norm=l1", "--time-limit=7.0",
        f"--output={out}", "--quiet",
    ]  # fmt: skip
    assert second.arguments(out)[2:5] == ["--functional=margin:0-1", "--functional=logit:0", f"--domain={folder / 'box.npz'}"]


def test_contradictions_are_found(folder: Path) -> None:
    (folder / "list.csv").write_text("m.onnx,p.vnnlib\n")
    (instance,) = read_instances(folder / "list.csv")
    known = folder / "known.csv"
    known.write_text("onnx,vnnlib,timeout_s,verdict,other_s\nonnx/m.onnx,vnnlib/p.vnnlib.gz,10,unsat,1.5\n")
    for verdict, agreeing, contradictions in (("unsat", 1, 0), ("sat", 0, 1), ("timeout", 0, 0)):
        found = compare([row(instance, Outcome(verdict=verdict, seconds=2.0))], known)
        assert (found.matched, found.agreeing, len(found.contradictions)) == (1, agreeing, contradictions)
    assert found.times == {"other": (1.5,)}


@pytest.mark.parametrize(("ends", "wrong"), [((0.5, 0.6), False), ((0.6, 0.7), False), ((0.71, 0.8), True), ((0.1, 0.49), True)])
def test_brackets_that_exclude_each_other_are_found(folder: Path, ends: tuple[float, float], wrong: bool) -> None:
    (folder / "list.csv").write_text("command,model,data,radius\ncertify,m.onnx,d.npz,0.1\n")
    (instance,) = read_instances(folder / "list.csv")
    known = folder / "known.csv"
    known.write_bytes(as_csv([row(instance, Outcome(verdict="bracket", lower=(0.5,), upper=(0.7,)))]))
    found = compare([row(instance, Outcome(verdict="exact", lower=ends[:1], upper=ends[1:]))], known)
    assert bool(found.contradictions) is wrong
    assert found.agreeing == (not wrong)


@pytest.mark.parametrize("cells", ["exact,abc,1", "exact,1,", "exact,1;2,1", ""])
def test_a_damaged_file_to_compare_with_is_refused_before_anything_runs(
    cells: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Path(__file__).parents[1] / "instances" / "iris" / "iris-16-16.onnx"
    listed, table, known = tmp_path / "list.csv", tmp_path / "out.csv", tmp_path / "known.csv"
    listed.write_text(f"command,model,functional\nlipschitz,{model},logit:0\n", encoding="utf-8")
    known.write_text(f"command,model,property,verdict,lower,upper\nlipschitz,{model},functional=logit:0,{cells}\n", "utf-8")
    assert main(["bench", str(listed), "--results", str(table), "--compare", str(known), "--quiet"]) == 2
    assert "known.csv, row 1" in capsys.readouterr().err
    assert not table.exists()


def test_the_command_runs_a_list_and_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = Path(__file__).parents[1] / "instances" / "iris" / "iris-16-16.onnx"
    listed, table, compared = tmp_path / "list.csv", tmp_path / "out.csv", tmp_path / "known.csv"
    listed.write_text(f"command,model,functional,norm\nlipschitz,{model},margin:0-1,l1\n")
    out = tmp_path / "out.json"
    assert main(["bench", str(listed), "--results", str(table), "--output", str(out), "--cactus", str(tmp_path / "c.svg")]) == 0
    header, cells = table.read_text().splitlines()
    assert header == "instance,command,model,property,verdict,lower,upper,seconds,error"
    assert ",exact," in cells
    assert (tmp_path / "c.svg").read_text().rstrip().endswith("</svg>")
    compared.write_text(f"{header}\n{cells.replace(',exact,', ',exact,9').replace(cells.split(',')[6], '1e9')}\n")
    assert main(["bench", str(listed), "--results", str(table), "--compare", str(compared)]) == 1
    assert "exclude each other" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 3000, "nul\0byte"])
def test_names_that_no_file_can_have_are_said(folder: Path, name: str) -> None:
    (folder / "list.csv").write_text(f"m.onnx,{name}\n")
    with pytest.raises(InputError, match=r"list\.csv"):
        read_instances(folder / "list.csv")
