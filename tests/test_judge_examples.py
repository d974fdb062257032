"""Certificates by hand: every kind of claim is accepted where it is true, and rejected one step beyond."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import wdaverify as wv
from tests import judge_drafts as dr
from tests import judge_examples as ex
from wdaverify.check.context import Question, Target
from wdaverify.check.num import Rejected
from wdaverify.check.program import Form, Program
from wdaverify.check.report import check
from wdaverify.check.tree import Tree
from wdaverify.cli.main import main

TRAPS = dr.DATA / "traps"


@pytest.mark.parametrize("name", ex.EXAMPLES)
def test_true_certificates_are_accepted(name: str, tmp_path: Path) -> None:
    verdict = check(dr.write(tmp_path, ex.EXAMPLES[name](tmp_path)))
    assert verdict.accepted, verdict.message
    assert verdict.brackets >= 1
    assert len(verdict.lines) == verdict.claims


STRONGER = {
    "point": 1, "max": -1, "distance": 1, "adversary": -1, "lip": -1, "liplow": 1, "slope": -1, "price": -1, "risk_upper": -1,
    "risk_lower": 1, "all": -1,
}  # fmt: skip
SLACK = {("cross_entropy", "l"), ("cross_entropy", "u"), ("loss_constants", "ce"), ("loss_constants", "celow")}
"""Claims whose value is not the best that their own evidence proves."""


@pytest.mark.parametrize("name", ex.EXAMPLES)
def test_values_one_step_beyond_are_rejected(name: str, tmp_path: Path) -> None:
    document = ex.EXAMPLES[name](tmp_path)
    for k, claim in enumerate(document["proof"]["claims"]):
        if "value" in claim and (name, claim["id"]) not in SLACK:
            changed = json.loads(json.dumps(document))
            value = Fraction(claim["value"]) + STRONGER[claim["kind"]] * Fraction(1, 1 << 60)
            changed["proof"]["claims"][k]["value"] = f"{value.numerator}/{value.denominator}"
            verdict = check(dr.write(tmp_path, changed))
            assert verdict.status == 1, (claim, verdict.message)


def trap(folder: Path, name: str, program: list[str], claims: list[dict[str, Any]], *streams: Any, **fields: Any) -> Path:
    """A certificate about a trap network."""
    for suffix in ("onnx", "vnnlib"):
        shutil.copy(TRAPS / f"{name}.{suffix}", folder)
    document = {"schema": "wdaverify/1", "semantics": "real", **fields}
    inputs = 2 if name.startswith("t1") else 1
    document["model"] = {**dr.reference(folder / f"{name}.onnx"), "inputs": inputs, "outputs": 1}
    if document.get("kind") == "property":
        document["property"] = dr.reference(folder / f"{name}.vnnlib")
        document["evidence"] = "proved"
    proof = {"format": "wdaverify-proof/1", "program": program, "claims": claims, "streams": list(streams)}
    return dr.write(folder, {**document, "proof": proof})


VERDICT = {"about": ["/verdict", "verdict"]}


@pytest.mark.parametrize(
    ("evidence", "accepted"),
    [({}, True), ({"a": [1, [0, 1, 1, 1]]}, True), ({"a": [0, [0, 1, 1, 0]]}, False)],
)
def test_worked_example_a_verdict_below_every_tolerance(evidence: dict[str, Any], accepted: bool, tmp_path: Path) -> None:
    leaf = dr.leaf("empty", c=[0, [0, 1]], **evidence)
    claim = {"id": "c0", "kind": "unsat", **VERDICT}
    path = trap(tmp_path, "t4a_margin_neg", ["A2", "R2", "A1"], [claim], dr.stream("c0", leaf), kind="property", verdict="unsat")
    assert check(path).accepted is accepted
    # The twin, whose maximum is +2^-30, is sat, and unsat cannot be proved by the same leaf.
    path = trap(tmp_path, "t4b_margin_pos", ["A2", "R2", "A1"], [claim], dr.stream("c0", leaf), kind="property", verdict="unsat")
    assert check(path).status == 1
    claim = {"id": "c0", "kind": "sat", "x": [0], **VERDICT}
    path = trap(tmp_path, "t4b_margin_pos", ["A2", "R2", "A1"], [claim], kind="property", verdict="sat")
    assert check(path).accepted


def ramp(folder: Path, *tree: dict[str, Any], value: Any) -> bool:
    """Whether the price of the ramp at lambda 1/2 is accepted."""
    draft = dr.Draft(folder, dr.RAMP, "risk", domain={"lower": 0.0, "upper": 4.0}, loss="linear", objective=[[0, 1]])
    draft.data([[0.0]], [0])
    draft.document["threat"] = {"norm": "l1", "order": 1.0}
    upper = float(Fraction(1, 4) + Fraction(value))
    draft.document["curve"] = [{"radius": 0.5, "worst_case_risk": dr.bracket(0.25, upper)}]
    threat = {"radius": "1/2", "order": 1, "norm": "l1", "loss": "linear", "objective": [[0, 1]]}
    price = {"id": "c0", "kind": "price", "sample": 0, "norm": "l1", "p": 1, "lambda": "1/2", "loss": "linear"}
    claims: list[dict[str, Any]] = [
        {**price, "objective": [[0, 1]], "value": value},
        {"id": "c1", "kind": "risk_upper", **threat, "lambda": "1/2", "terms": [{"price": [["c0", 1]]}]},
        {"id": "c2", "kind": "risk_lower", **threat, "atoms": [[0, [0], "3/4"], [0, [2], "1/4"]], "value": "1/4"},
    ]
    claims[1] |= {"value": str(Fraction(1, 4) + Fraction(value)), "about": ["/curve/0/worst_case_risk", "upper"]}
    claims[2]["about"] = ["/curve/0/worst_case_risk", "lower"]
    return check(dr.write(folder, draft.prove(claims, dr.stream("c0", *tree)))).accepted


def test_worked_example_a_worst_case_risk(tmp_path: Path) -> None:
    assert ramp(tmp_path, dr.split(0), dr.leaf("bound", a=[1, [1, 1]]), dr.leaf("bound"), value=0)
    # Without the split: 1 with slope 0 of neuron 1, and more with larger slopes.
    assert ramp(tmp_path, dr.leaf("bound", a=[0, [1, 0]]), value=1)
    assert not ramp(tmp_path, dr.leaf("bound", a=[0, [1, 0]]), value="999/1000")
    assert not ramp(tmp_path, dr.leaf("bound", a=[0, [1, 1]]), value="3/2")


def test_worked_example_local_bounds_and_a_cancellation(tmp_path: Path) -> None:
    """f vanishes identically behind weights of 2^23; a big-M model answers 1."""
    close = [dr.bound(4, hi=-1), {"t": "refresh"}, dr.leaf("bound")]
    local = [dr.bound(1, hi=0, ehi=dr.on(0)), dr.bound(2, lo=1, elo=dr.on(0)), dr.bound(3, hi=-1, ehi=dr.on(0))]
    off = [dr.bound(1, lo=0, elo=dr.on(0)), dr.split(2), dr.bound(3, hi=0, ehi=dr.on(2)), *close]
    tree = [dr.split(0), *local, *close, *off, dr.bound(3, lo=0, elo=dr.on(2)), *close]
    claims = [{"id": "m", "kind": "max", "objective": [[0, 1]], "value": 0}, {"id": "u", "kind": "unsat", **VERDICT}]
    program = ["A4", "R4", "A1", "R1", "A2", "R2", "A1"]
    empty = [{**r, "k": "empty", "c": [0, [0, 1]]} if r["t"] == "leaf" else r for r in tree]
    streams = dr.stream("m", *tree), dr.stream("u", *empty)
    verdict = check(trap(tmp_path, "t1_bigM_leak", program, claims, *streams, kind="property", verdict="unsat"))
    assert verdict.accepted, verdict.message
    claims[0]["value"] = "-1/1000000000000000000"
    assert check(trap(tmp_path, "t1_bigM_leak", program, claims, *streams, kind="property", verdict="unsat")).status == 1


def test_worked_example_a_thin_cell(tmp_path: Path) -> None:
    """The trap of slope 2: f = x has the constant 1; both neurons on only at 0."""
    constants = [{"functional": "logit:0", "norm": "linf", "value": dr.bracket(1.0, 1.0)}]
    fields = {"kind": "lipschitz", "domain": {"lower": -1.0, "upper": 1.0}, "constants": constants}
    common = {"functional": "logit:0", "norm": "linf", "value": 1}
    claims = [
        {"id": "c0", "kind": "lip", **common, "about": ["/constants/0/value", "upper"]},
        {"id": "c1", "kind": "liplow", **common, "pair": [[0], [1]], "about": ["/constants/0/value", "lower"]},
    ]
    for first, accepted in (
        (dr.leaf("thin", p=[0, [0, 1, 1, 1]]), True),
        (dr.leaf("thin", p=[0, [0, 1]]), False),
        (dr.leaf("jac"), False),
    ):
        tree = (dr.split(0), dr.split(1), first, dr.leaf("jac"), dr.split(1), dr.leaf("jac"), dr.leaf("jac"))
        path = trap(tmp_path, "t7_lipschitz_kink", ["A2", "R2", "A1"], claims, dr.stream("c0", *tree), **fields)
        assert check(path).accepted is accepted


def test_a_neuron_that_vanishes_identically_is_in_no_thin_cell() -> None:
    """z_2 = relu(x) - relu(x) = 0 everywhere: its off child is the whole domain, so that thin must not close it."""
    program, one = Program(1), Fraction(1)
    y = program.relu(program.affine([Form({0: one}), Form({0: one})]))
    z = program.affine([Form.of(y, [one, -one])])
    gate = program.relu(z)
    program.outputs = program.affine([Form.of([0, *gate], [one, one])])
    form = program.objective({0: one})
    question = Question(program, [-one], [one], [Target(form)], norm="linf", gradient=form)
    for phases in ((dr.split(0), dr.split(1), dr.split(2), dr.leaf("jac")), (dr.split(2), dr.leaf("jac"))):
        cheat = dr.leaf("thin", p=[0, [2, 1]])
        with pytest.raises(Rejected, match=r"strict ingredient|does not close"):
            Tree(question).run(iter((*phases, cheat)))


def test_parts_and_packed_streams(tmp_path: Path) -> None:
    document = ex.lipschitz(tmp_path)
    records = document["proof"]["streams"][0]["records"][:-1]
    right = dr.packed_lines(*records[4:])
    (tmp_path / "right.jsonl.gz").write_bytes(right)
    part = {"t": "part", **dr.reference(tmp_path / "right.jsonl.gz")}
    (tmp_path / "left.jsonl.gz").write_bytes(dr.packed_lines(*records[:4], part))
    document["proof"]["streams"] = [{"claim": "c0", **dr.reference(tmp_path / "left.jsonl.gz")}]
    verdict = check(dr.write(tmp_path, document))
    assert verdict.accepted, verdict.message
    assert "[4 leaves]" in verdict.lines[0]


def test_the_command_and_the_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = dr.write(tmp_path, ex.distance(tmp_path))
    assert wv.check(path) == wv.check(path)
    assert main(["check", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "ACCEPT 2 claims, 1 brackets"
    assert lines[0].startswith("proved distance sample 0")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "model.onnx").rename(moved / "m.onnx")
    assert main(["check", str(path)]) == 2
    assert main(["check", str(path), "--model", str(moved / "m.onnx"), "--quiet"]) == 0
    broken = bytearray((moved / "m.onnx").read_bytes())
    broken[-20] ^= 1
    (tmp_path / "model.onnx").write_bytes(broken)
    capsys.readouterr()
    assert main(["check", str(path)]) == 1
    assert "model 'model.onnx' is not the file of the certificate" in capsys.readouterr().err


def test_a_property_is_no_second_domain(tmp_path: Path) -> None:
    """The box of the property would stand for the domain that the report names."""
    document = ex.sat(tmp_path)
    assert check(dr.write(tmp_path, document)).accepted
    document["domain"] = "Rn"
    assert "another domain" in check(dr.write(tmp_path, document)).message


def test_limits_reject(tmp_path: Path) -> None:
    path = dr.write(tmp_path, ex.lipschitz(tmp_path))
    assert check(path, time_limit=60, max_bits=1 << 30).accepted
    assert "limit: time" in check(path, time_limit=0).message
    document = ex.lipschitz(tmp_path)
    document["proof"]["streams"][0]["records"].insert(0, dr.bound(0, hi="0x1p+300"))
    document["proof"]["streams"][0]["records"][-1]["records"] += 1
    path = dr.write(tmp_path, document)
    assert check(path).accepted
    assert "limit" in check(path, max_bits=4).message
    assert check(path).accepted  # a lowered limit holds for one call


def test_nothing_proved_is_not_accepted(tmp_path: Path) -> None:
    document = ex.distance(tmp_path)
    document["distances"][0]["distance"]["evidence"] = "solver"
    assert "nothing in the report is marked proved" in check(dr.write(tmp_path, document)).message
    document = ex.distance(tmp_path)
    document["bounds"] = [{"worst_case_risk": {"lower": 0.0, "upper": 0.1, "evidence": "proved"}}]
    assert check(dr.write(tmp_path, document)).status == 1


def test_a_distance_in_another_norm_than_its_entry_says(tmp_path: Path) -> None:
    for norm, accepted in (("l2", True), ("l1", False)):
        certificate = ex.distance(tmp_path)
        certificate["distances"][0]["norm"] = norm
        verdict = check(dr.write(tmp_path, certificate))
        assert verdict.accepted is accepted, verdict.message


@pytest.mark.parametrize("name", ["distance", "margin", "zero_one"])
@pytest.mark.parametrize("place", ["options", "threat"])
def test_a_report_that_names_two_norms_is_refused(name: str, place: str, tmp_path: Path) -> None:
    """A page shows the norm of the options beside a risk that was proved in the norm of the threat."""
    certificate = ex.EXAMPLES[name](tmp_path)
    true = certificate["proof"]["claims"][0]["norm"]
    for norm in ("l1", "l2", "linf"):
        certificate[place] = {**certificate.get(place, {}), "norm": norm}
        verdict = check(dr.write(tmp_path, certificate))
        assert verdict.accepted is (norm == true), verdict.message


def test_slopes_at_infinity_are_those_of_the_whole_space(tmp_path: Path) -> None:
    """relu(x0 + x1) + relu(x0 - x1) does not grow by 2 where x0 has an upper end: no direction of growth stays there."""
    certificate = ex.slope(tmp_path)
    infinite = {"lower": "-inf", "upper": "inf"}
    for domain, accepted in (("Rn", True), (infinite, True), ({**infinite, "upper": [0.0, "inf"]}, False)):
        certificate["domain"] = domain
        verdict = check(dr.write(tmp_path, certificate))
        assert verdict.accepted is accepted, verdict.message
