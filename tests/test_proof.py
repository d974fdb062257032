"""Proofs of distances and verdicts, judged: what is marked as proved is true, and small networks leave nothing unproved."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lying_sessions import LIES, LyingBackend
from tests.networks import random_mlp
from tests.oracles import brute_force_distance
from tests.property_text import boxed
from tests.strategies import degenerate_networks, small_networks
from wdaverify._types import Norm
from wdaverify.bracket import Bracket
from wdaverify.check.report import check
from wdaverify.cli.main import main
from wdaverify.dataset import Dataset
from wdaverify.domain import Box
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.load import load
from wdaverify.ir.to_onnx import to_onnx
from wdaverify.proof import save
from wdaverify.proof.distances import save_distances
from wdaverify.risk.adversarial import AdversarialDistance, DistanceOptions
from wdaverify.risk.distance import distances
from wdaverify.risk.document import distance_document, options_record

BOX = Box(-1.0, 1.0)
NORMS = st.sampled_from(list(Norm))
TRAPS = Path(__file__).parent / "data" / "traps"


def stored(network, folder, x):
    """A network and its samples as files, labelled by the network itself."""
    to_onnx(network, folder / "m.onnx")
    y = [int(np.argmax([float(v) for v in exact_forward(network, row)])) for row in x.tolist()]
    np.savez(folder / "d.npz", x=x, y=y)
    return load(folder / "m.onnx"), Dataset.load(folder / "d.npz")


def saved_distances(folder, network, data, found, norm):
    """The report as saved with its proofs."""
    options = DistanceOptions()
    document = distance_document(network, data, found, domain=BOX, options=options_record(norm, options), seconds=0.0)
    save_distances(document, folder / "r.json", network, data, found, domain=BOX, norm=norm, options=options)
    return json.loads((folder / "r.json").read_text())


def judged(folder):
    """Whether the judge accepts what stands in a folder, by its names."""
    return check(folder / "r.json").accepted


@pytest.mark.slow
@given(
    st.one_of(st.tuples(small_networks(), st.just(True)), st.tuples(degenerate_networks(), st.just(False))),
    NORMS,
    st.integers(0, 2**31),
)
@settings(max_examples=12, deadline=None)
def test_distances_of_small_networks_are_proved(drawn, norm, seed):
    network, generic = drawn
    x = np.random.default_rng(seed).uniform(-1, 1, (2, network.inputs))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network, data = stored(network, folder, x)
        found = distances(network, data, norm=norm, domain=BOX, options=DistanceOptions())
        report = saved_distances(folder, network, data, found, norm)
        assert "proof" not in report or judged(folder)
        for record, i in zip(report["distances"], range(2), strict=True):
            truth = brute_force_distance(network, BOX, x[i], int(data.y[i]), norm)
            lower, upper = (float(record["distance"][end]) for end in ("lower", "upper"))
            assert lower <= truth * (1 + 1e-9) + 1e-9
            assert upper >= truth * (1 - 1e-9) - 1e-9
            if generic and record["distance"]["status"] == "exact":
                assert record["distance"]["evidence"] == "proved"


@pytest.mark.parametrize("kind", [*LIES, "raises"])
def test_a_solver_that_lies_proves_nothing_false(kind, tmp_path, monkeypatch):
    network, data = stored(random_mlp([3, 8, 6, 3], 4), tmp_path, np.random.default_rng(1).uniform(-1, 1, (3, 3)))
    found = distances(network, data, norm=Norm.LINF, domain=BOX, options=DistanceOptions())
    monkeypatch.setattr(save, "get_backend", lambda _: LyingBackend(kind))
    if kind == "raises":
        with pytest.warns(RuntimeWarning, match="a proof was given up"):
            report = saved_distances(tmp_path, network, data, found, Norm.LINF)
    else:
        report = saved_distances(tmp_path, network, data, found, Norm.LINF)
    assert "proof" not in report or judged(tmp_path)
    assert all(d["distance"]["evidence"] in {"proved", "checked"} for d in report["distances"])


@pytest.mark.parametrize("norm", list(Norm))
def test_a_distance_that_is_too_large_is_never_proved(norm, tmp_path):
    network, data = stored(random_mlp([2, 6, 3], 7), tmp_path, np.random.default_rng(3).uniform(-1, 1, (4, 2)))
    found = distances(network, data, norm=norm, domain=BOX, options=DistanceOptions())
    wrong = []
    for d in found:
        end = 1.01 * d.distance.upper if math.isfinite(d.distance.upper) else math.inf
        wrong.append(
            AdversarialDistance(
                sample=d.sample, label=d.label, distance=Bracket(lower=end, upper=end), target=d.target, point=d.point
            )
        )
    report = saved_distances(tmp_path, network, data, wrong, norm)
    known = [d for d in report["distances"] if d["distance"]["upper"] != "inf"]
    assert known
    assert all(d["distance"]["evidence"] == "checked" for d in known)


def test_an_interrupt_or_an_error_leaves_nothing_half_written(tmp_path, monkeypatch):
    network, data = stored(random_mlp([2, 8, 8, 3], 5), tmp_path, np.random.default_rng(3).uniform(-1, 1, (2, 2)))
    found = distances(network, data, norm=Norm.LINF, domain=BOX, options=DistanceOptions())
    before = {p.name for p in tmp_path.iterdir()}
    for error in (MemoryError, KeyboardInterrupt):

        def fail(*_: object, error: type[BaseException] = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(save, "ask", fail)
        with pytest.raises(error):
            saved_distances(tmp_path, network, data, found, Norm.LINF)
        left = {p.name for p in tmp_path.iterdir()} - before
        assert left == ({"r.json"} if error is KeyboardInterrupt else set())
    assert "proof" not in json.loads((tmp_path / "r.json").read_text())


@pytest.mark.parametrize(
    ("assertion", "verdict"),
    [
        ("(>= Y_0 9)", "unsat"),
        ("(or (>= Y_0 9) (and (<= X_0 1) (>= Y_1 9)))", "unsat"),
        ("(and (>= (+ X_0 X_1) 3) (>= Y_0 9))", "unsat"),
        ("(or (>= Y_0 9) (>= Y_1 Y_0))", "sat"),
    ],
)
def test_verdicts_are_proved(assertion, verdict, tmp_path, capsys):
    to_onnx(random_mlp([2, 6, 5, 2], 12), tmp_path / "m.onnx")
    (tmp_path / "p.vnnlib").write_text(boxed(assertion))
    assert main(["verify", str(tmp_path / "m.onnx"), str(tmp_path / "p.vnnlib"), "--output", str(tmp_path / "r.json")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == verdict
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["verdict"], report["evidence"], judged(tmp_path)) == (verdict, "proved", True)


def test_no_proof_on_demand_and_without_files(tmp_path):
    network, data = stored(random_mlp([2, 6, 3], 8), tmp_path, np.zeros((1, 2)))
    common = ["distance", str(tmp_path / "m.onnx"), "--data", str(tmp_path / "d.npz"), "--domain", "-1,1", "--output"]
    assert main([*common, str(tmp_path / "r.json"), "--no-proof", "--quiet"]) == 0
    assert "proof" not in json.loads((tmp_path / "r.json").read_text())
    unnamed = Dataset(data.x, data.y)
    found = distances(network, unnamed, norm=Norm.LINF, domain=BOX, options=DistanceOptions())
    assert "proof" not in saved_distances(tmp_path, network, unnamed, found, Norm.LINF)


@pytest.mark.parametrize("name", sorted(p.stem for p in TRAPS.glob("*.onnx")))
def test_traps_are_proved(name, tmp_path):
    expected = json.loads((TRAPS / "expected.json").read_text())[name]["answer"]
    output = tmp_path / "r.json"
    assert main(["verify", str(TRAPS / f"{name}.onnx"), str(TRAPS / f"{name}.vnnlib"), "--output", str(output)]) == 0
    report = json.loads(output.read_text())
    assert (report["verdict"], report["evidence"]) == (expected, "proved")
