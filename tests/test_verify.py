"""Verdicts on VNN-LIB properties: traps, hostile files, brute force, and lying solvers."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.networks import mlp, random_mlp, random_residual
from tests.oracles import enumerate_cells
from wdaverify._errors import InputError
from wdaverify.cli.main import main
from wdaverify.domain import Box
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.load import load
from wdaverify.ir.to_onnx import to_onnx
from wdaverify.property.verify import PropertyVerdict, verify
from wdaverify.property.vnnlib import load_property

if TYPE_CHECKING:
    from wdaverify.ir.network import Network

DATA = Path(__file__).parent / "data"
TRAPS = json.loads((DATA / "traps" / "expected.json").read_text(encoding="utf-8"))


def write(path: Path, inputs: int, outputs: int, *asserts: str, box: tuple[str, str] = ("-1", "1")) -> Path:
    """A property on a box of equal sides."""
    lines = [f"(declare-const X_{k} Real)" for k in range(inputs)] + [f"(declare-const Y_{k} Real)" for k in range(outputs)]
    lines += [f"(assert (>= X_{k} {box[0]}))\n(assert (<= X_{k} {box[1]}))" for k in range(inputs)]
    path.write_text("\n".join([*lines, *asserts]), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", sorted(TRAPS))
def test_traps(name: str) -> None:
    trap = TRAPS[name]
    network = load(DATA / "traps" / trap["onnx"])
    answer = verify(network, DATA / "traps" / trap["vnnlib"], time_limit=60)
    assert answer.verdict == trap["answer"]
    if answer.witness is not None:
        x = [Fraction(v) for v in answer.witness.tolist()]
        assert answer.property.holds(x, exact_forward(network, x))


@pytest.mark.parametrize("name", sorted(name for name, trap in TRAPS.items() if "exact_max" in trap))
def test_exact_maxima_of_traps(name: str, tmp_path: Path) -> None:
    """``Y >= max`` is sat, ``Y >= max + 2^-40`` is unsat, ``Y > max`` is not sat."""
    trap = TRAPS[name]
    network = load(DATA / "traps" / trap["onnx"])
    box = load_property(DATA / "traps" / trap["vnnlib"], inputs=network.inputs, outputs=network.outputs).disjuncts[0]
    best = Fraction(trap["exact_max"])

    def asked(comparison: str, level: Fraction) -> PropertyVerdict:
        text = [f"(declare-const X_{k} Real)" for k in range(network.inputs)] + ["(declare-const Y_0 Real)"]
        for k, (low, high) in enumerate(zip(box.lower, box.upper, strict=True)):
            text.append(f"(assert (>= X_{k} (/ {low.numerator} {low.denominator})))")
            text.append(f"(assert (<= X_{k} (/ {high.numerator} {high.denominator})))")
        text.append(f"(assert ({comparison} Y_0 (/ {level.numerator} {level.denominator})))")
        path = tmp_path / "level.vnnlib"
        path.write_text("\n".join(text), encoding="utf-8")
        return verify(network, path, time_limit=60).verdict

    assert asked(">=", best + Fraction(1, 2**20)) is PropertyVerdict.UNSAT
    assert asked(">=", best - Fraction(1, 2**20)) is PropertyVerdict.SAT
    assert asked(">", best) is not PropertyVerdict.SAT


@pytest.mark.parametrize("seed", range(8))
def test_thresholds_agree_with_enumeration(seed: int, tmp_path: Path) -> None:
    """The largest ``Y_1 - Y_0`` over the box from all cells decides every threshold."""
    network = random_mlp([2, 6, 4, 2], seed) if seed % 2 else random_residual(seed, 2, 5, 2)
    best = largest_difference(network)
    below = write(tmp_path / "below.vnnlib", 2, 2, f"(assert (>= (- Y_1 Y_0) {best - 1e-5:.17f}))")
    above = write(tmp_path / "above.vnnlib", 2, 2, f"(assert (>= (- Y_1 Y_0) {best + 1e-5:.17f}))")
    assert verify(network, below).verdict is PropertyVerdict.SAT
    assert verify(network, above).verdict is PropertyVerdict.UNSAT


def largest_difference(network: Network) -> float:
    from scipy.optimize import linprog

    best = -np.inf
    for cell in enumerate_cells(network, Box(-1, 1).sized(2)):
        slope, offset = cell.slope[1] - cell.slope[0], cell.offset[1] - cell.offset[0]
        result = linprog(-slope, A_ub=cell.rows, b_ub=cell.sides, bounds=[(None, None)] * 2, method="highs")
        best = max(best, -result.fun + offset)
    return float(best)


def test_conjunctions_and_disjunctions(tmp_path: Path) -> None:
    network = mlp([np.eye(1), [[1.0], [-1.0]]], [np.zeros(1), [0.0, 0.5]])  # Y_0 = relu(x), Y_1 = 1/2 - relu(x)
    both = write(tmp_path / "a.vnnlib", 1, 2, "(assert (>= Y_0 0.6))", "(assert (>= Y_1 0.0))")
    either = write(tmp_path / "b.vnnlib", 1, 2, "(assert (or (and (>= Y_0 2)) (and (>= Y_1 0.1) (<= Y_0 0.3))))")
    regions = write(tmp_path / "c.vnnlib", 1, 2, "(assert (or (and (<= X_0 -0.5) (>= Y_0 0.1)) (and (>= X_0 0.9) (<= Y_0 0.8))))")
    assert verify(network, both).verdict is PropertyVerdict.UNSAT
    assert verify(network, either).verdict is PropertyVerdict.SAT
    assert verify(network, regions).verdict is PropertyVerdict.UNSAT


def test_strict_rows_close_at_exactly_zero(tmp_path: Path) -> None:
    network = load(DATA / "hostile" / "good.onnx")
    box = ("-1", "1")
    strict = write(tmp_path / "strict.vnnlib", 2, 1, "(assert (> Y_0 2.0))", box=box)
    closed = write(tmp_path / "closed.vnnlib", 2, 1, "(assert (>= Y_0 2.0))", box=box)
    assert verify(network, strict).verdict is PropertyVerdict.UNSAT
    assert verify(network, closed).verdict is PropertyVerdict.SAT


def test_no_time_is_a_timeout(tmp_path: Path) -> None:
    path = write(tmp_path / "p.vnnlib", 2, 2, "(assert (>= Y_0 1000.0))")
    assert verify(random_mlp([2, 20, 20, 2], 0), path, time_limit=1e-9).verdict is PropertyVerdict.TIMEOUT


def test_a_property_of_another_network_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "p.vnnlib", 3, 2, "(assert (>= Y_0 1000.0))")
    with pytest.raises(InputError, match=r"p\.vnnlib"):
        verify(random_mlp([2, 3, 2], 0), path)


def test_the_command_prints_the_verdict_first_and_the_counterexample_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to_onnx(mlp([np.eye(1), [[1.0], [-1.0]]], [np.zeros(1), [0.0, 0.5]]), tmp_path / "m.onnx")
    path = write(tmp_path / "p.vnnlib", 1, 2, "(assert (>= Y_0 0.5))")
    assert main(["verify", str(tmp_path / "m.onnx"), str(path), "--output", str(tmp_path / "r.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "sat"
    assert "X_0" in lines[1]
    document = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (document["kind"], document["verdict"], document["evidence"]) == ("property", "sat", "proved")
    assert document["witness"]["y"][0] >= 0.5


HOSTILE = json.loads((DATA / "hostile" / "expected.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("name", sorted(n for n, c in HOSTILE.items() if c["kind"] in ("vnnlib", "onnx")))
def test_hostile_files(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    case = HOSTILE[name]
    monkeypatch.chdir(DATA / "hostile")
    model, file = (name, "good.vnnlib") if case["kind"] == "onnx" else (case.get("model", "good.onnx"), name)
    if name == "two_class.onnx":
        pytest.skip("its outputs do not fit good.vnnlib")
    status = main(["verify", model, file])
    out, err = capsys.readouterr()
    if status == 0:
        assert case["expect"] != "reject"
        wanted = case.get("answer", case.get("answer_with_good_vnnlib"))
        assert wanted is None or out.splitlines()[0] == wanted
        if case.get("warning_required"):
            assert "X_0" in err
    else:
        assert case["expect"] != "accept"
        assert status == 2
        assert all(part in err for part in case["message_must_contain"])
        choices = case["message_must_contain_any_of"]
        assert not choices or any(part in err for part in choices)
        assert len(err.strip().splitlines()) == 1


def test_a_property_without_outputs_is_decided(tmp_path: Path) -> None:
    """The box allows ``x0 + x1 >= 3/2`` and ``x1 - x0 >= 1`` each, but not both."""
    network = random_mlp([2, 4, 1], 0)
    box = "".join(f"(declare-const X_{k} Real)(assert (>= X_{k} -1))(assert (<= X_{k} 1))" for k in range(2))
    rows = "(declare-const Y_0 Real)(assert (>= (+ X_0 X_1) 1.5))(assert (>= (- X_1 X_0) 1))"
    path = tmp_path / "inputs.vnnlib"
    path.write_text(box + rows)
    assert verify(network, path).verdict == "unsat"
