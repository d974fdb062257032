"""Proofs of Lipschitz constants, judged: small planar networks leave nothing unproved, and rational arithmetic agrees."""

from __future__ import annotations

import json
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rational_cells import output_forms
from tests.strategies import degenerate_networks, small_networks
from wdaverify._types import Norm
from wdaverify.check.report import check
from wdaverify.cli.main import main
from wdaverify.ir.to_onnx import to_onnx

LIPSCHITZ = Path(__file__).parent / "data" / "lipschitz"


def truth(network, row, norm):
    """The largest norm of the gradient of ``row . f`` on [-1, 1]^2 (its square for l2), exactly."""
    best = Fraction(0)
    for forms in output_forms(network, -1.0, 1.0):
        gradient = [sum((Fraction(c) * form[k] for c, form in zip(row, forms, strict=True)), Fraction(0)) for k in (0, 1)]
        sizes = [abs(v) for v in gradient]
        best = max(best, {Norm.LINF: sum(sizes), Norm.L1: max(sizes), Norm.L2: sum(v * v for v in sizes)}[norm])
    return best


NETWORKS = st.one_of(
    st.tuples(small_networks(outputs=2), st.just(True)), st.tuples(degenerate_networks(outputs=2), st.just(False))
)
"""Networks, and whether they are generic: neurons that vanish may leave an end unproved, never wrong."""


@given(NETWORKS, st.sampled_from(list(Norm)))
@settings(max_examples=12, deadline=None)
def test_constants_of_small_networks_are_proved(drawn, norm):
    network, generic = drawn
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        to_onnx(network, folder / "m.onnx")
        output = folder / "r.json"
        asked = ["--functional", "logit:0", "--functional", "label:1"]
        wanted = ["--domain=-1,1", "--norm", str(norm), *asked, "--output", str(output)]
        assert main(["lipschitz", str(folder / "m.onnx"), *wanted]) == 0
        report = json.loads(output.read_text())
        assert check(output).accepted or ("proof" not in report and not generic)
    for constant, row in zip(report["constants"], ([1.0, 0.0], [1.0, -1.0]), strict=False):
        value, exact, power = constant["value"], truth(network, row, norm), 2 if norm is Norm.L2 else 1
        assert Fraction(value["lower"]) ** power <= exact <= Fraction(value["upper"]) ** power
        assert value["evidence"] == "proved" or not generic


def test_a_cell_without_generic_points_is_thin(tmp_path):
    output = tmp_path / "r.json"
    model = str(LIPSCHITZ / "degen_abs_identity_1-2-1.onnx")
    assert main(["lipschitz", model, "--domain=-1,1", "--functional", "logit:0", "--output", str(output)]) == 0
    report = json.loads(output.read_text())
    assert report["constants"][0]["value"] == {"lower": 1.0, "upper": 1.0, "status": "exact", "evidence": "proved"}
    assert any(record.get("k") == "thin" for record in report["proof"]["streams"][0]["records"])


@pytest.mark.parametrize("factor", [0.5, 0.999])
def test_a_constant_that_is_too_small_is_never_proved(factor, tmp_path, monkeypatch):
    from wdaverify.proof import constants

    output = tmp_path / "r.json"
    monkeypatch.setattr(constants, "easier_upper", lambda bracket: (factor * bracket.upper,))
    arguments = ["lipschitz", str(LIPSCHITZ / "iris_4-8-8-3.onnx"), "--functional", "margin:0-1", "--output", str(output)]
    assert main(arguments) == 0
    report = json.loads(output.read_text())
    assert report["constants"][0]["value"]["evidence"] == "checked"
    assert "proof" not in report


def test_a_box_with_a_fixed_coordinate(tmp_path):
    network_file, output = str(LIPSCHITZ / "rand_2-16-16-2_s0.onnx"), tmp_path / "r.json"
    np.savez(tmp_path / "box.npz", lower=[-1.0, 0.25], upper=[1.0, 0.25])
    arguments = ["lipschitz", network_file, "--domain", str(tmp_path / "box.npz"), "--functional", "margin:0-1"]
    assert main([*arguments, "--output", str(output)]) == 0
    evidence = json.loads(output.read_text())["constants"][0]["value"]["evidence"]
    assert evidence in {"proved", "checked"}
    assert evidence == "checked" or check(output, model=network_file).accepted
