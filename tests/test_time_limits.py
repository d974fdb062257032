"""A limit counts for everything: what the time does not suffice for is bounded by what takes none, and said to be wide."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.dataset import Dataset
from wdaverify.domain import Box
from wdaverify.ir.load import load
from wdaverify.pricing.warm_points import warm_points
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.certify import certify
from wdaverify.transport import GroundCost, WassersteinBall

DIGITS = Path(__file__).parents[1] / "instances" / "digits"
LIMIT = 0.3
AFTER = 2.5
"""Seconds after the limit: exact losses, and the audit of the plan, of 300 samples. It took 15 to 50 s once."""


@pytest.mark.parametrize(
    ("loss", "norm", "order"),
    [("margin", Norm.LINF, 1.0), ("hinge", Norm.L2, 1.0), ("cross-entropy", Norm.LINF, 2.0), ("margin", Norm.L1, np.inf)],
)
def test_priced_losses_keep_a_limit_that_is_far_too_short(loss: str, norm: Norm, order: float) -> None:
    network, data = load(DIGITS / "digits-64-64-64.onnx"), Dataset.load(DIGITS / "digits-test.npz")
    certify(
        network, data.first(1), WassersteinBall(0.05, order, norm), loss=loss, options=DistanceOptions(time_limit=LIMIT)
    )  # imports
    start = time.process_time()
    found = certify(network, data, WassersteinBall(0.05, order, norm), loss=loss, options=DistanceOptions(time_limit=LIMIT))
    assert time.process_time() - start < 1.1 * LIMIT + AFTER
    risk = found.curve[0].risk
    assert found.nominal_risk <= risk.lower + 1e-12
    assert risk.lower < risk.upper < np.inf  # growth bounds it


def test_walks_stop_at_a_deadline() -> None:
    network, data = load(DIGITS / "digits-64-64-64.onnx"), Dataset.load(DIGITS / "digits-test.npz")
    cost, box, labels = GroundCost(Norm.LINF, 1.0), Box(0, 1).sized(64), np.asarray(data.y, dtype=np.int64)
    none = warm_points(network, data.x, labels, cost, box, deadline=Deadline.after(0.0))
    assert [points.shape for points in none] == [(0, 64)] * data.count
    few = warm_points(network, data.x, labels, cost, box, deadline=Deadline.after(0.2))
    assert len(few) == data.count
    assert all(box.contains(points).all() for points in few)
    assert sum(map(len, few)) > 0


def test_an_attack_is_not_loaded_for_a_second() -> None:
    """Loading torch would take more than the limit: the search gets the time, and proves something."""
    code = (
        "import sys; from wdaverify.cli.main import main\n"
        "assert main(['distance', 'instances/iris/iris-16-16.onnx', '--data', 'instances/iris/iris-test.npz',"
        " '--samples', '3', '--time-limit', '2.5', '--quiet']) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[1]
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "3 of 3 exact" in found.stdout or "(exact)" in found.stdout
