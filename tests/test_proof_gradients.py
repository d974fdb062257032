"""The bounds of gradients that plan a proof, against the judge's own in rational arithmetic; and trees on boxes of few inputs."""

from __future__ import annotations

import gzip
import json
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.networks import mlp
from wdaverify._types import Norm
from wdaverify.check.adjoint import gradient_norm
from wdaverify.check.context import Context, Question, Target
from wdaverify.check.engine import Evidence
from wdaverify.check.model import program_of
from wdaverify.check.report import check
from wdaverify.cli.main import main
from wdaverify.ir.load import load
from wdaverify.ir.to_onnx import to_onnx
from wdaverify.proof import gradient_tree
from wdaverify.proof.gradients import GradientBounds

LIPSCHITZ = Path(__file__).parent / "data" / "lipschitz"
FILES = ("rand_2-16-16-2_s0.onnx", "iris_4-8-8-3.onnx", "digits_64-32-16-10.onnx")


def judged(program, modes, row, norm, fixed):
    """The judge's bound where neurons are fixed as modes say."""
    gradient = program.objective({k: Fraction(c) for k, c in enumerate(row) if c})
    ends = [Fraction(1) if j in fixed else Fraction(-1) for j in range(program.inputs)], [Fraction(1)] * program.inputs
    context = Context(Question(program, *ends, [Target()], norm=str(norm), gradient=gradient))
    for n in np.flatnonzero(modes):
        context.fix(int(n), int(modes[n]))
    value = float(gradient_norm(context, Evidence(), [j for j in range(program.inputs) if j not in fixed]))
    return value**0.5 if norm is Norm.L2 else value


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("norm", list(Norm))
def test_bounds_are_the_judges(file, norm):
    network, program, rng = load(LIPSCHITZ / file), program_of((LIPSCHITZ / file).read_bytes(), file), random.Random(7)
    row = np.array([rng.choice((-1.0, 0.0, 0.5, 1.0)) for _ in range(network.outputs)])
    row[0] = 1.0
    fixed = {rng.randrange(network.inputs)}
    free = np.array([j not in fixed for j in range(network.inputs)])
    bounds = GradientBounds(network.compiled, row, norm, free)
    modes = np.array([rng.choices((-1, 0, 1), k=network.compiled.neurons) for _ in range(6)], dtype=np.float64)
    modes[0], modes[1] = 0.0, 1.0
    for value, own in zip(bounds.largest(modes), modes, strict=True):
        assert value == pytest.approx(judged(program, own, row, norm, fixed), rel=1e-9)


def test_the_neuron_to_split_at_leaves_the_smallest_bounds():
    network = load(LIPSCHITZ / FILES[1])
    bounds = GradientBounds(network.compiled, np.array([1.0, -1.0, 0.0]), Norm.L2, np.ones(4, dtype=bool))
    modes = np.zeros(16)
    modes[[1, 5, 12]] = 1.0, -1.0, 1.0
    value = 0.5 * float(bounds.largest(modes[None])[0])

    def excess(n, sides=(1.0, -1.0)):
        children = np.tile(modes, (len(sides), 1))
        children[:, n] = sides
        return np.maximum(bounds.largest(children) - value, 0.0).sum()

    undetermined = [n for n in range(16) if modes[n] == 0]
    assert excess(bounds.branching(modes, value)) == min(map(excess, undetermined))
    assert bounds.branching(modes, value, among=np.array([3])) == 3
    likely = np.array([np.ones(16), np.zeros(16)], dtype=bool)  # no inactive child holds a point
    chosen = bounds.branching(modes, value, likely=likely)
    assert excess(chosen, (1.0,)) == min(excess(n, (1.0,)) for n in undetermined)
    assert bounds.branching(np.ones(16), value) is None


def proved(model, folder, norm, domain="-1,1"):
    """The records of the proof of ``logit:0``, which the judge accepts."""
    output = folder / "r.json"
    asked = ["--functional", "logit:0", "--norm", norm, f"--domain={domain}", "--output", str(output)]
    assert main(["lipschitz", str(model), *asked]) == 0
    report = json.loads(output.read_text())
    assert report["constants"][0]["value"]["evidence"] == "proved"
    assert check(output, model=model).accepted
    stream = report["proof"]["streams"][0]
    if "file" not in stream:
        return stream["records"]
    return [json.loads(line) for line in gzip.decompress((folder / stream["file"]).read_bytes()).splitlines()]


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_planar_boxes_are_halved_and_need_few_leaves(norm, tmp_path):
    kinds = [record["t"] for record in proved(LIPSCHITZ / FILES[0], tmp_path, norm)]
    assert kinds.count("input") > 5
    assert kinds.count("refresh") == 2 * kinds.count("input")
    assert kinds.count("leaf") < 500  # 326 cells; decisions of single neurons alone need 2,000


def test_neurons_that_all_vanish_at_one_point(tmp_path, monkeypatch):
    """Six lines through the origin, which no halving hits: the box around it keeps them all undetermined, and halving ends."""
    monkeypatch.setattr(gradient_tree, "_MANY", 3)
    angles = np.pi * (np.arange(6) + 0.3) / 6
    rows = np.column_stack([np.cos(angles), np.sin(angles)])
    weights = np.where(np.arange(6) % 3 == 0, -1.0, 1.0)[None]
    to_onnx(mlp([rows, np.vstack([weights, -weights])], [np.zeros(6), np.zeros(2)]), tmp_path / "m.onnx")
    records = proved(tmp_path / "m.onnx", tmp_path, "l2", domain="-1,1.125")
    assert 16 <= sum(record["t"] == "input" for record in records) <= 64
    assert any(record.get("k") == "thin" for record in records)
