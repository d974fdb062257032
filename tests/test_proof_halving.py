"""Proofs that halve boxes of inputs: what is true is proved, what is false never, and no damaged tree is accepted."""

from __future__ import annotations

import copy
import gzip
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from tests.lying_sessions import LIES, LyingBackend
from tests.networks import random_mlp, random_residual
from tests.oracles import enumerate_cells
from tests.strategies import degenerate_networks, small_networks
from wdaverify._deadline import Deadline
from wdaverify.check.report import check
from wdaverify.cli import verify as command
from wdaverify.domain import Box
from wdaverify.ir.load import load
from wdaverify.ir.to_onnx import to_onnx
from wdaverify.proof import halving, save
from wdaverify.proof.save import Sources, save_proved
from wdaverify.proof.verdicts import prove_verdict
from wdaverify.property.run import PropertyVerdict
from wdaverify.property.verify import PropertyAnswer
from wdaverify.property.vnnlib import load_property

MARGIN = 1e-4
"""How far thresholds stay from the maximum that SciPy computes."""


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Halve boxes early, which small networks would do without."""
    eagerly(monkeypatch)


def eagerly(patch):
    for name, value in {"_LEAST_LEAVES": 1, "_SAMPLE": 1, "_DOUBT": 0.05}.items():
        patch.setattr(halving, name, value)


def text(inputs, outputs, assertion):
    """A property over the box [-1, 1]^n."""
    names = [f"X_{k}" for k in range(inputs)] + [f"Y_{k}" for k in range(outputs)]
    box = "".join(f"(assert (>= X_{k} -1))\n(assert (<= X_{k} 1))\n" for k in range(inputs))
    return "".join(f"(declare-const {name} Real)\n" for name in names) + box + f"(assert {assertion})\n"


def proved(folder, network, assertion, *, deadline=None):
    """The report on a property that is said to be unsatisfiable, saved with what proof there is."""
    to_onnx(network, folder / "m.onnx")
    network = load(folder / "m.onnx")
    (folder / "p.vnnlib").write_text(text(network.inputs, network.outputs, assertion))
    question = load_property(folder / "p.vnnlib", inputs=network.inputs, outputs=network.outputs)
    answer = PropertyAnswer(property=question, verdict=PropertyVerdict.UNSAT, evidence=None)
    document = command._document(network, answer, {})
    sources = Sources(property=str(folder / "p.vnnlib"))
    save_proved(
        document, folder / "r.json", network, lambda ledger: prove_verdict(ledger, network, answer), sources=sources,
        deadline=deadline,
    )  # fmt: skip
    return json.loads((folder / "r.json").read_text())


def records_of(folder, report):
    """The records of the only stream, without its footer."""
    (stream,) = report["proof"]["streams"]
    if "records" in stream:
        return stream["records"][:-1]
    lines = gzip.decompress((folder / stream["file"]).read_bytes()).splitlines()
    return [json.loads(line) for line in lines[:-1]]


def judged(folder, report, records):
    """What the judge says of a report with other records."""
    changed = copy.deepcopy(report)
    footer = {"t": "end", "records": len(records), "leaves": sum(r["t"] == "leaf" for r in records)}
    changed["proof"]["streams"] = [{"claim": "c0", "records": [*records, footer]}]
    (folder / "other.json").write_text(json.dumps(changed))
    return check(folder / "other.json")


def largest(network, row):
    """``max row . f`` over the box by one linear program per cell."""
    best, n = -np.inf, network.inputs
    for cell in enumerate_cells(network, Box(-1.0, 1.0).sized(n)):
        found = linprog(-row @ cell.slope, A_ub=cell.rows, b_ub=cell.sides, bounds=[(None, None)] * n, method="highs")
        if found.status == 0:
            best = max(best, float(row @ cell.offset) - found.fun)
    return best


@given(
    st.one_of(
        st.tuples(small_networks(outputs=2), st.just(True)),
        st.tuples(degenerate_networks(outputs=2), st.just(False)),  # the judge may see fewer neurons, and then there is no proof
    ),
    st.integers(0, 2**31),
)
@settings(max_examples=8, deadline=None)
def test_above_the_maximum_everything_is_proved_and_below_it_nothing(drawn, seed):
    network, generic = drawn
    row = np.random.default_rng(seed).normal(size=2).round(3)
    top = largest(network, row)
    form = "(+ " + " ".join(f"(* {c} Y_{k})" for k, c in enumerate(row)) + ")"
    for shift, evidence in ((MARGIN, "proved"), (-MARGIN, None)):
        with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
            eagerly(patch)
            folder = Path(name)
            limit = None if evidence else Deadline.after(0.3)
            report = proved(folder, network, f"(>= {form} {top + shift:.9f})", deadline=limit)
            assert report["evidence"] == evidence or (evidence == "proved" and not generic)
            assert ("proof" in report) == (report["evidence"] == "proved")


@pytest.mark.parametrize("inputs", [2, 3, 4, 5])
def test_networks_with_few_inputs_are_proved_by_splitting_inputs(inputs, tmp_path):
    network = random_residual(3, inputs, 6, 2) if inputs == 3 else random_mlp([inputs, 6, 6, 2], inputs)
    points = np.random.default_rng(0).uniform(-1, 1, (4000, inputs))
    top = float(network.compiled.forward(points)[:, 0].max())
    report = proved(tmp_path, network, f"(>= Y_0 {top + 0.2 * abs(top) + 0.1:.3f})")
    records = records_of(tmp_path, report)
    assert report["evidence"] == "proved"
    assert check(tmp_path / "r.json").accepted
    assert {"input", "leaf"} <= {record["t"] for record in records}


@pytest.mark.parametrize(
    "assertion",
    [
        "(or (>= Y_0 {0}) (>= Y_1 {1}))",
        "(or (and (<= X_0 0) (>= Y_0 {0})) (and (>= X_0 0.1) (>= Y_1 {1})))",
        "(and (>= (+ X_0 X_1) 1.9) (>= Y_0 {0}))",
        "(and (>= (+ X_0 X_1) 2.5) (>= Y_0 -99))",
        "(and (>= Y_0 {0}) (>= Y_1 Y_0) (< X_0 0.5))",
    ],
)
def test_every_disjunct_and_rows_on_inputs(assertion, tmp_path):
    network = random_mlp([2, 5, 4, 2], 4)
    tops = [largest(network, row) + 1e-3 for row in np.eye(2)]
    report = proved(tmp_path, network, assertion.format(*(f"{top:.6f}" for top in tops)))
    assert report["evidence"] == "proved"
    assert check(tmp_path / "r.json").accepted


@pytest.fixture
def accepted(tmp_path):
    """An accepted certificate whose tree splits inputs: folder, report, records."""
    network = random_mlp([2, 6, 5, 2], 9)
    report = proved(tmp_path, network, f"(>= Y_0 {largest(network, np.array([1.0, 0.0])) + 1e-3:.6f})")
    records = records_of(tmp_path, report)
    assert judged(tmp_path, report, records).accepted
    return tmp_path, report, records


def subtree(records, start):
    """Where the subtree that begins at a record ends."""
    pending = 1
    for k in range(start, len(records)):
        pending += {"leaf": -1, "split": 1, "input": 1}.get(records[k]["t"], 0)
        if pending == 0:
            return k + 1
    raise AssertionError("the tree has no end")


def test_damaged_trees_are_refused(accepted):
    folder, report, records = accepted
    splits = [k for k, record in enumerate(records) if record["t"] == "input"]
    assert len(splits) >= 2
    first, last = splits[0], splits[-1]

    def refused(other, words):
        verdict = judged(folder, report, other)
        assert not verdict.accepted
        assert words in verdict.message

    for at in (1, -1, 2, "0x1.8p0"):  # at and beyond the ends of the box
        refused([*records[:first], {**records[first], "at": at}, *records[first + 1 :]], "is not split inside its range")
    refused([*records[:first], {**records[first], "j": 2}, *records[first + 1 :]], "whole number from 0 to 1")
    below = subtree(records, first + 1)
    refused(records[: first + 1] + records[below:], "")  # the first child dropped
    refused(records[:below], "open")  # the second one dropped
    refused([*records, records[-1]], "nothing is open")
    refused(records[:first] + records[first + 1 :], "")  # the split itself dropped
    middle = subtree(records, last + 1)
    end = subtree(records, middle)
    swapped = records[: last + 1] + records[middle:end] + records[last + 1 : middle] + records[end:]
    assert swapped != records
    refused(swapped, "not")


def test_a_coordinate_that_is_moved_far_leaves_a_box_that_does_not_close(accepted):
    folder, report, records = accepted
    moved = 0
    for k in [k for k, record in enumerate(records) if record["t"] == "input"]:
        for at in ("0x1.fffp-1", "-0x1.fffp-1"):
            moved += not judged(folder, report, [*records[:k], {**records[k], "at": at}, *records[k + 1 :]]).accepted
    assert moved >= 2


@pytest.mark.parametrize("kind", LIES)
def test_a_solver_that_lies_proves_nothing_false(kind, tmp_path, monkeypatch):
    network = random_mlp([2, 6, 6, 2], 5)
    top = largest(network, np.array([1.0, 0.0]))
    monkeypatch.setattr(save, "get_backend", lambda _: LyingBackend(kind))
    report = proved(tmp_path, network, f"(>= Y_0 {top - MARGIN:.9f})", deadline=Deadline.after(0.5))
    assert "proof" not in report


def test_no_time_and_no_programs_leave_no_proof(tmp_path, monkeypatch):
    network = random_mlp([3, 12, 12, 2], 2)
    report = proved(tmp_path, network, "(>= Y_0 1.0)", deadline=Deadline.after(0.0))
    assert "proof" not in report
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "p.vnnlib", "r.json"]


def test_bounds_that_leaves_do_without_are_not_written(tmp_path, monkeypatch):
    network = random_mlp([2, 12, 12, 12, 2], 6)
    points = np.random.default_rng(1).uniform(-1, 1, (20000, 2))
    assertion = f"(>= Y_0 {float(network.compiled.forward(points)[:, 0].max()) + 0.05:.3f})"
    sizes = []
    for budgets in (halving._BUDGETS, ()):
        monkeypatch.setattr(halving, "_BUDGETS", budgets)
        report = proved(tmp_path, network, assertion)
        assert report["evidence"] == "proved"
        assert check(tmp_path / "r.json").accepted
        records = records_of(tmp_path, report)
        sizes.append((sum(r["t"] == "bound" for r in records), [r["t"] for r in records if r["t"] != "bound"]))
    assert sizes[0][0] < sizes[1][0]
    assert sizes[0][1] == sizes[1][1]
