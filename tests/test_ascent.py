"""Attacks on properties: gradients against finite differences, candidates against exact evaluation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.bounds_networks import NETWORKS
from tests.networks import random_mlp
from wdaverify.attack.ascent import Effort, ascend, gradients
from wdaverify.domain import Box
from wdaverify.ir.exact import exact_forward
from wdaverify.property.attack import distinct

STEP = 2.0**-20
"""Central differences of a piecewise linear function are exact up to rounding unless a kink is nearer than this."""


@pytest.mark.parametrize("kind", ["one hidden layer", "three hidden layers", "residual", "convolutional"])
def test_gradients_are_those_of_finite_differences(kind):
    rng = np.random.default_rng(3)
    compiled = NETWORKS[kind](rng).compiled
    x, seeds = rng.uniform(size=(20, compiled.inputs)), rng.normal(size=(20, compiled.outputs))
    found = gradients(compiled, compiled.trace(x), seeds)
    for d in range(min(4, compiled.inputs)):
        move = np.zeros(compiled.inputs)
        move[d] = STEP
        difference = ((compiled.forward(x + move) - compiled.forward(x - move)) * seeds).sum(axis=1) / (2 * STEP)
        near = np.isclose(found[:, d], difference, rtol=1e-6, atol=1e-6)
        assert near.sum() >= 18  # a random point is almost never within a step of a kink


def test_candidates_lie_in_the_box_and_the_best_comes_first():
    network, box = random_mlp([3, 10, 10, 2], 1), Box(np.full(3, -0.5), np.array([0.5, -0.5, 1.0]))
    rows, offsets = np.array([[1.0, -1.0], [0.5, 1.0]]), np.array([0.1, -50.0])
    for effort in (Effort(), Effort(samples=500, starts=20, steps=10), Effort(samples=1, starts=5, steps=0)):
        points = ascend(network.compiled, rows, offsets, box, effort=effort, seed=2)
        assert len(points) == min(effort.samples, effort.starts)
        assert box.contains(points).all()
        values = (network.compiled.forward(points) @ rows.T + offsets).min(axis=1)
        assert (np.diff(values) <= 0).all()
        np.testing.assert_array_equal(points, ascend(network.compiled, rows, offsets, box, effort=effort, seed=2))
    sampled = network.compiled.forward(np.random.default_rng(0).uniform(box.lower, box.upper, size=(2000, 3)))
    best = ascend(network.compiled, rows, offsets, box, effort=Effort(samples=500, starts=50), seed=0)[0]
    exact = np.array([float(v) for v in exact_forward(network, best.tolist())])
    assert (rows @ exact + offsets).min() >= (sampled @ rows.T + offsets).min(axis=1).max()


def test_distinct_points_are_apart_in_some_coordinate():
    points = np.array([[0.0, 0.0], [0.01, 0.0], [0.5, 0.0], [0.5, 7.0], [0.52, 0.0], [1.0, 0.0]])
    assert distinct(points, np.array([1.0, 0.0]), apart=0.04, most=9) == [0, 2, 3, 5]
    assert distinct(points, np.array([1.0, 1.0]), apart=0.04, most=2) == [0, 2]


def test_deciding_a_property_does_not_import_torch():
    """Importing torch takes longer than most properties of small networks do."""
    traps = Path(__file__).parent / "data" / "traps"
    code = (
        "import sys, wdaverify as wv\n"
        f"answer = wv.verify(wv.load({str(traps / 't1_bigM_leak.onnx')!r}), {str(traps / 't1_bigM_leak.vnnlib')!r})\n"
        "print(answer.verdict, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"
