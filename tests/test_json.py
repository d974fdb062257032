"""The JSON files: fixed fields, exact round trip, all or nothing."""

from __future__ import annotations

import json
import math
import os
import stat

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.networks import random_mlp
from wdaverify._errors import InputError
from wdaverify.bracket import Bracket, Evidence
from wdaverify.domain import Box
from wdaverify.report import json as report
from wdaverify.report import records
from wdaverify.transport import Atom, TransportPlan


def document(**changes) -> records.DistanceDocument:
    fields = {
        "model": report.model_record(random_mlp((2, 3, 2), 0)),
        "domain": report.domain_record(Box(0, 1)),
        "options": {"norm": "linf"},
        "versions": report.versions(),
        "seconds": 0.5,
        "data": records.DataRecord(file="d.npz", sha256="00", samples=1),
        "distances": [],
    }
    return records.DistanceDocument(**{**fields, **changes})


@given(st.floats(allow_nan=False))
def test_reals_survive_the_round_trip(value):
    record = report.bracket_record(Bracket(lower=value, upper=value))
    read = json.loads(msgspec.json.encode(record))
    assert float(read["lower"]) == value
    assert math.copysign(1, float(read["lower"])) == (math.copysign(1, value) if value else 1)
    if math.isinf(value):
        assert read["lower"] == ("inf" if value > 0 else "-inf")


def test_nan_is_no_result():
    with pytest.raises(ValueError, match="NaN"):
        report.real(math.nan)


def test_every_file_has_the_common_fields():
    read = json.loads(report.encode(document()))
    assert {"schema", "kind", "model", "domain", "options", "versions", "seconds", "semantics"} <= read.keys()
    assert (read["schema"], read["kind"], read["semantics"]) == ("wdaverify/1", "distance", "real")
    assert read["model"] == {"file": None, "sha256": None, "inputs": 2, "outputs": 2, "relus": 3}
    assert read["versions"].keys() >= {"python", "numpy"}


def test_a_typed_reader_accepts_what_was_written():
    written = document(
        distances=[
            records.DistanceRecord(
                sample=0,
                label=1,
                distance=report.bracket_record(Bracket(lower=0.1, upper=math.inf, evidence=Evidence.SOLVER)),
                target=None,
                point=None,
                float_replay=report.reals(np.array([1.0, math.nan])),
            )
        ]
    )
    read = msgspec.json.decode(report.encode(written), type=records.DistanceDocument)
    assert read == written
    assert read.distances[0].distance == records.BracketRecord(lower=0.1, upper="inf", status="bracket", evidence="solver")
    assert read.distances[0].float_replay == [1.0, "nan"]


@pytest.mark.parametrize(
    ("box", "record"),
    [
        (Box(0, 1), {"lower": 0.0, "upper": 1.0}),
        (Box.whole_space(), "Rn"),
        (Box([0, 0], [1, 2]), {"lower": 0.0, "upper": [1.0, 2.0]}),
        (Box([-np.inf, 0], [1, 1]), {"lower": ["-inf", 0.0], "upper": 1.0}),
    ],
)
def test_domains(box, record):
    assert report.domain_record(box) == record


def test_plans_inline_and_beside():
    plan = TransportPlan((Atom(source=3, label=1, mass=0.5, cost=math.inf, point=np.array([0.1, 0.2])),), 2.0)
    inline = json.loads(msgspec.json.encode(report.plan_record(plan)))
    assert inline == {"atoms": [{"source": 3, "label": 1, "mass": 0.5, "cost": "inf", "point": [0.1, 0.2]}]}
    beside = json.loads(msgspec.json.encode(report.plan_record(plan, "p.npz")))
    assert beside == {"atoms": [{"source": 3, "label": 1, "mass": 0.5, "cost": "inf"}], "points": "p.npz"}


def test_writing_replaces_the_file_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "out.json"
    target.write_text("old")
    report.write(document(), target)
    assert json.loads(target.read_text())["kind"] == "distance"
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "out.npz"
    target.write_text("old")

    def broken(stream, **_):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(InputError, match=r"out.npz: cannot be written: No space left"):
        report.write_points(np.zeros((1, 1)), target)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.npz"]


def test_unwritable_places_are_found_before_any_work(tmp_path):
    with pytest.raises(InputError, match=r"missing/out.json: cannot write there: No such file"):
        report.check_writable(tmp_path / "missing" / "out.json")
    with pytest.raises(InputError, match="is a folder"):
        report.check_writable(tmp_path)
    with pytest.raises(InputError, match="File name too long"):
        report.check_writable(tmp_path / ("n" * 300))
    assert report.check_writable(tmp_path / "out.json") == tmp_path / "out.json"
    assert not list(tmp_path.iterdir())


def test_points_have_no_negative_zeros():
    assert [math.copysign(1, v) for v in report.coordinates(np.array([-0.0, 0.0, -1.0]))] == [1, 1, -1]


def test_the_longest_possible_name_can_be_written(tmp_path):
    target = tmp_path / ("n" * 250 + ".json")
    report.write(document(), target)
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


def test_a_link_stays_a_link(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name, content in (("old.json", "old"), ("new.json", None)):
        target, link = folder / name, tmp_path / name
        if content is not None:
            target.write_text(content)
        link.symlink_to(target)
        report.write(document(), link)
        assert link.is_symlink()
        assert not target.is_symlink()
        assert json.loads(target.read_text())["kind"] == "distance"
    assert len(list(folder.iterdir())) == 2
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(InputError, match="loop: cannot write there"):
        report.check_writable(loop)


def test_only_regular_files_are_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="pipe: is no regular file"):
        report.check_writable(pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_inputs_are_known_under_every_name(tmp_path):
    given = tmp_path / "model.onnx"
    given.write_bytes(b"model")
    (tmp_path / "soft").symlink_to(given)
    (tmp_path / "hard").hardlink_to(given)
    for name in ("model.onnx", "soft", "hard", "../" + tmp_path.name + "/model.onnx"):
        with pytest.raises(InputError, match="is an input of this command"):
            report.check_writable(tmp_path / name, inputs=[tmp_path / "none", given])
    assert report.check_writable(tmp_path / "c.json", inputs=[given])


def test_the_mask_of_the_user_decides_on_access(tmp_path):
    before = os.umask(0o027)
    try:
        report.write(document(), tmp_path / "out.json")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.json").stat().st_mode) == 0o640
