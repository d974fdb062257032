"""Proofs of the constants of losses, judged, against the pieces of planar networks in rational arithmetic."""

from __future__ import annotations

import json
import tempfile
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rational_cells import clipped, output_cells, value
from tests.strategies import degenerate_networks, small_networks
from wdaverify._types import Norm
from wdaverify.check.report import check
from wdaverify.cli.main import main
from wdaverify.ir.to_onnx import to_onnx
from wdaverify.proof import logistic_leaves
from wdaverify.proof.loss_networks import with_margin

ZERO = (Fraction(0),) * 3
SQUARE = -1.0, 1.0


def minus(a, b, constant=0):
    """The form ``a - b + constant``."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2] + constant


def size(form, norm):
    """The dual norm of a form's gradient (its square for l2)."""
    sizes = [abs(v) for v in form[:2]]
    return {Norm.LINF: sum(sizes), Norm.L1: max(sizes), Norm.L2: sum(v * v for v in sizes)}[norm]


def area(polygon):
    """Twice the area."""
    return sum(p[0] * q[1] - p[1] * q[0] for p, q in zip(polygon, polygon[1:] + polygon[:1], strict=True))


def pieces(network, label):
    """The pieces of the margin loss: polygons with an interior, and its form there."""
    for polygon, forms in output_cells(network, *SQUARE):
        margins = [minus(f, forms[label]) for j, f in enumerate(forms) if j != label]
        for j, own in enumerate(margins):
            part = polygon
            for k, other in enumerate(margins):
                if k != j and part:
                    part = clipped(part, minus(own, other))
            if len(part) > 2 and area(part) != 0:
                yield part, own


def truth(network, loss, label, norm):
    """The constant (its square for l2), rational but for the cross-entropy of two classes: 40 digits."""
    best = Fraction(0)
    for polygon, form in pieces(network, label):
        top = max(value(form, p) for p in polygon)
        if loss == "hinge" and top <= -1:
            continue
        share = 1
        if loss == "cross-entropy":
            with mpmath.workdps(50):
                share = 1 / (1 + mpmath.exp(-mpmath.mpf(top.numerator) / top.denominator))
                share = Fraction(mpmath.nstr(share, 45))
        best = max(best, size(form, norm) * share ** (2 if norm is Norm.L2 else 1))
    return best


def reported(folder, network, functionals, norm):
    """The constants of the report, whose proof is accepted if it has one."""
    to_onnx(network, folder / "m.onnx")
    output = folder / "r.json"
    asked = [word for name in functionals for word in ("--functional", name)]
    assert main(["lipschitz", str(folder / "m.onnx"), "--domain=-1,1", "--norm", str(norm), *asked, "--output", str(output)]) == 0
    report = json.loads(output.read_text())
    assert "proof" not in report or check(output).accepted
    return [constant["value"] for constant in report["constants"]]


NETWORKS = st.one_of(
    st.tuples(small_networks(outputs=2), st.just(True)),
    st.tuples(small_networks(outputs=3), st.just(True)),
    st.tuples(degenerate_networks(outputs=2), st.just(False)),
)


@given(NETWORKS, st.sampled_from(list(Norm)))
@settings(max_examples=8, deadline=None)
def test_constants_of_losses_are_proved(drawn, norm):
    (network, generic), power = drawn, 2 if norm is Norm.L2 else 1
    losses = ["margin", "hinge", *(["cross-entropy"] if network.outputs == 2 else [])]
    with tempfile.TemporaryDirectory() as name:
        found = reported(Path(name), network, [f"loss:{loss}:1" for loss in losses], norm)
    for loss, bracket in zip(losses, found, strict=True):
        exact, slack = truth(network, loss, 1, norm), Fraction(1, 10**30)
        assert Fraction(bracket["lower"]) ** power <= exact + slack
        assert Fraction(bracket["upper"]) ** power >= exact - slack
        assert bracket["evidence"] == "proved" or not generic or bracket["status"] != "exact"


def test_more_classes_than_two_are_not_called_proved(tmp_path):
    from tests.networks import random_mlp

    (bracket,) = reported(tmp_path, random_mlp([2, 4, 3], 1), ["loss:cross-entropy:0"], Norm.LINF)
    assert bracket["evidence"] == "checked"


@pytest.mark.parametrize("factor", [0.9, 0.9999])
def test_a_constant_that_is_too_small_is_never_proved(factor, tmp_path, monkeypatch):
    from tests.networks import random_mlp
    from wdaverify.proof import constants

    monkeypatch.setattr(constants, "easier_upper", lambda bracket: (factor * bracket.upper,))
    for loss in ("margin", "cross-entropy"):
        (bracket,) = reported(tmp_path, random_mlp([2, 5, 4, 2], 3), [f"loss:{loss}:0"], Norm.LINF)
        assert bracket["evidence"] == "checked"


def test_a_producer_that_lowers_the_share_too_little_is_refused(tmp_path, monkeypatch):
    """Leaves that bound g by too much are the judge's to find."""
    from tests.networks import random_mlp

    monkeypatch.setattr(logistic_leaves, "_INWARD", -0.5)
    network = random_mlp([2, 5, 4, 2], 3)
    (bracket,) = reported(tmp_path, network, ["loss:cross-entropy:0"], Norm.LINF)
    assert Fraction(bracket["upper"]) >= truth(network, "cross-entropy", 0, Norm.LINF)


@given(small_networks(outputs=3), st.integers(0, 2))
@settings(max_examples=20, deadline=None)
def test_the_networks_of_losses_are_the_losses(network, label):
    x = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    f = network.compiled.forward(x)
    margins = np.delete(f, label, axis=1).max(axis=1) - f[:, label]
    assert with_margin(network, label).compiled.forward(x)[:, 0] == pytest.approx(margins, abs=1e-9)
    hinges = with_margin(network, label, hinge=True).compiled.forward(x)[:, 0]
    assert hinges == pytest.approx(np.maximum(0.0, 1.0 + margins), abs=1e-9)
