"""What a run of a list takes from outside: external data, journals of other hands, files to compare with."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.fuzz.seeds import external_models
from tests.onnx_models import model
from wdaverify._errors import InputError, ModelError
from wdaverify.bench.compare import compare
from wdaverify.bench.instance_list import read_instances
from wdaverify.bench.journal import Journal
from wdaverify.bench.outcome import Outcome
from wdaverify.ir.load import load
from wdaverify.ir.onnx_file import external_files


def _external(folder: Path, location: str = "w.bin") -> Path:
    (case,) = external_models()
    content = onnx.ModelProto.FromString(case["m.onnx"])
    for tensor in content.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    (folder / "m.onnx").write_bytes(content.SerializeToString())
    (folder / "w.bin").write_bytes(case["w.bin"])
    return folder / "m.onnx"


def test_changed_external_data_are_another_instance(tmp_path: Path) -> None:
    file = _external(tmp_path)
    assert external_files(file) == [tmp_path / "w.bin"]
    (tmp_path / "p.vnnlib").write_text("")
    (tmp_path / "list.csv").write_text("m.onnx,p.vnnlib")
    (instance,) = read_instances(tmp_path / "list.csv")
    before = instance.key(0, None)
    assert instance.key(0, None) == before
    content = bytearray((tmp_path / "w.bin").read_bytes())
    content[-1] ^= 1
    (tmp_path / "w.bin").write_bytes(content)
    changed = instance.key(0, None)
    assert changed != before
    (tmp_path / "w.bin").unlink()
    assert instance.key(0, None) not in (before, changed)


def test_external_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    file, folders = _external(tmp_path), ("a", "b")
    content = onnx.ModelProto.FromString(file.read_bytes())
    for tensor, folder in zip(content.graph.initializer, folders, strict=True):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "w.bin").write_bytes((tmp_path / "w.bin").read_bytes())
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = f"{folder}/w.bin"
    file.write_bytes(content.SerializeToString())
    (tmp_path / "p.vnnlib").write_text("")
    (tmp_path / "list.csv").write_text("m.onnx,p.vnnlib")
    (instance,) = read_instances(tmp_path / "list.csv")
    keys = {instance.key(0, None)}
    for folder in folders:
        (tmp_path / folder / "w.bin").write_bytes(b"other" * 50)
        keys.add(instance.key(0, None))
    assert len(keys) == 3


def test_models_without_external_data_have_none(tmp_path: Path) -> None:
    nodes = [onnx.helper.make_node("MatMul", ["X", "location"], ["Y"])]
    content = model(nodes, {"location": np.ones((2, 2), np.float32)}, (1, 2))
    (tmp_path / "m.onnx").write_bytes(content)
    (tmp_path / "text.onnx").write_text("location")
    assert external_files(tmp_path / "m.onnx") == external_files(tmp_path / "text.onnx") == external_files(tmp_path / "x") == []


@pytest.mark.parametrize("location", ["n" * 256, "n" * 5000, "w\0.bin", "", ".", "w.bin/x"])
def test_names_that_no_external_file_can_have_are_one_line(tmp_path: Path, location: str) -> None:
    with pytest.raises(ModelError, match=r"^m\.onnx: tensor '\w+': external data '.*") as caught:
        load(_external(tmp_path, location))
    assert len(str(caught.value)) < 700
    assert external_files(tmp_path / "m.onnx") == []


def test_external_data_of_more_bytes_than_the_dims_are_not_read(tmp_path: Path) -> None:
    file = _external(tmp_path)
    content = onnx.ModelProto.FromString(file.read_bytes())
    for tensor in content.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "length":
                entry.value = str(10**9)
    file.write_bytes(content.SerializeToString())
    with (tmp_path / "w.bin").open("r+b") as stream:
        stream.truncate(10**9)  # a hole: it takes no room on the disk
    with pytest.raises(ModelError, match="has 1000000000 bytes, more than dims"):
        load(file)


@pytest.mark.parametrize(
    "record",
    [
        b'{"key":"a","outcome":{"verdict":"exact","lower":[1.0,2.0],"upper":[1.0]}}',
        b'{"key":"a","outcome":{"verdict":"exact","lower":["nan"],"upper":[1.0]}}',
        b'{"key":"a","outcome":{"verdict":"exact","lower":["1"],"upper":["x"]}}',
        b'{"key":"a","outcome":{"verdict":"exact","lower":[2.0],"upper":[1.0]}}',
        b'{"key":"a","outcome":{"verdict":"exact","lower":[null],"upper":[1.0]}}',
        b'{"key":"a","outcome":{"verdict":"maybe"}}',
        b'{"key":"a","outcome":{"verdict":"sat","seconds":-1}}',
        b'{"key":"a"}',
        b'{"key":"\xff","outcome":{"verdict":"sat"}}',
        b"[" * 5000,
        b'{"x":' + b"[" * 5000,
    ],
)
def test_whole_lines_that_are_no_outcome_are_refused_even_at_the_end(tmp_path: Path, record: bytes) -> None:
    sound = b'{"key":"b","outcome":{"verdict":"sat"}}'
    lines = [hashlib.sha256(each).hexdigest()[:16].encode() + b" " + each + b"\n" for each in (sound, record)]
    path = tmp_path / "journal"
    path.write_bytes(b"".join(lines))
    with pytest.raises(InputError, match=r"journal, line 2: damaged \(.*\); --restart begins anew") as caught:
        Journal(path)
    assert len(str(caught.value)) < 500
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("fields", [{"lower": (1.0,)}, {"lower": (float("inf"),), "upper": ("inf",)}, {"seconds": float("nan")}])
def test_outcomes_are_checked_when_they_are_made(fields: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match=r"ends|no end|no time"):
        Outcome(verdict="bracket", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(("lower", "upper"), [("nan", "1"), ("1", "nan"), ("2", "1"), ("1;2", "1"), ("1_0", "20"), ("x", "1")])
def test_ends_that_are_no_brackets_are_not_compared_with(tmp_path: Path, lower: str, upper: str) -> None:
    known = tmp_path / "known.csv"
    rows = ["command,model,property,verdict,lower,upper", "certify,m.onnx,d.npz,exact,0;1,0;1"]
    known.write_text("\n".join([*rows, f"certify,n.onnx,d.npz,exact,{lower},{upper}"]))
    with pytest.raises(InputError, match=r"known\.csv, row 2: "):
        compare([], known)


def test_results_with_thousands_of_brackets_can_be_compared_with(tmp_path: Path) -> None:
    ends = ";".join(str(k / 7) for k in range(20_000))
    cells = ("1", "distance", "m.onnx", "d.npz", "exact", ends, ends, "1.0", "")
    known = tmp_path / "known.csv"
    known.write_text("instance,command,model,property,verdict,lower,upper,seconds,error\n" + ",".join(cells) + "\n")
    found = compare([cells], known)
    assert (found.matched, found.agreeing, found.contradictions) == (1, 1, ())


def test_files_to_compare_with_have_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wdaverify.bench.compare.LARGEST", 10)
    (tmp_path / "known.csv").write_text("model,verdict\n")
    with pytest.raises(InputError, match="longer than"):
        compare([], tmp_path / "known.csv")


def test_times_that_are_none_are_left_out(tmp_path: Path) -> None:
    known = tmp_path / "known.csv"
    known.write_text("model,property,verdict,a_s,b_s,c_s\nm.onnx,p.vnnlib,sat,nan,-1,2.5\n")
    found = compare([("1", "verify", "m.onnx", "p.vnnlib", "sat", "", "", "1.0", "")], known)
    assert found.times == {"wdaverify": (1.0,), "c": (2.5,)}
