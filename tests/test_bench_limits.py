"""Limits hold on real instances that no command finishes in time, whether it writes a bracket or has to be killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from wdaverify.bench.instance_list import read_instances
from wdaverify.bench.journal import Journal
from wdaverify.bench.outcome import BRACKET, EXACT, MEMOUT, TIMEOUT
from wdaverify.bench.run import Limits, run_instances

DIGITS = Path(__file__).parents[1] / "instances" / "digits"

ROWS = f"""command,model,data,samples,radius,loss,functional,norm
certify,{DIGITS}/digits-64-128-128.onnx,{DIGITS}/digits-test.npz,30,0.05,zero-one,,
certify,{DIGITS}/digits-64-64-64.onnx,{DIGITS}/digits-test.npz,10,0.05,margin,,
distance,{DIGITS}/digits-64-128-128.onnx,{DIGITS}/digits-test.npz,30,,,,l2
lipschitz,{DIGITS}/digits-64-128-128.onnx,,,,,all,l1
"""


@pytest.mark.slow
@pytest.mark.parametrize("timeout", [1.0, 6.0])
def test_times_hold(tmp_path: Path, timeout: float) -> None:
    (tmp_path / "list.csv").write_text(ROWS)
    instances = read_instances(tmp_path / "list.csv", timeout=timeout)
    with Journal(tmp_path / "journal") as journal:
        found = run_instances(instances, journal, limits=Limits(workers=2))
    assert {outcome.verdict for outcome in found.values()} <= {TIMEOUT, BRACKET, EXACT}
    assert max(outcome.seconds for outcome in found.values()) <= 1.1 * timeout + 2.0


@pytest.mark.slow
def test_a_memory_limit_below_what_the_libraries_take_is_an_outcome(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("\n".join(ROWS.splitlines()[:2]))
    with Journal(tmp_path / "journal") as journal:
        found = run_instances(read_instances(tmp_path / "list.csv", timeout=60), journal, limits=Limits(memory=50))
    assert [outcome.verdict for outcome in found.values()] == [MEMOUT]
