"""Worker processes: what they find is kept, one that dies loses its own task only, and none survives."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError, SolverError
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.closing import SampleSearch
from wdaverify.risk.processes import Crew
from wdaverify.risk.workers import close_in_turn

REPOSITORY = Path(__file__).parent.parent


def answer(shared: float, task: object) -> object:
    """A task: a number to add, or a way to fail."""
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "raise":
        raise InputError("no such task")
    return shared + float(task)


def children() -> list[str]:
    """Processes of which this one is the parent, dead ones included; the resource tracker lives as long as Python."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False
    )
    return [line for line in listed.stdout.splitlines() if "resource_tracker" not in line and " ps -ww" not in f" {line}"]


class Line:
    """A closer for ``f = (0, x - 3/4)`` that dies on the sample it is told to, found by its center."""

    def __init__(self, deadly: float = math.nan, *, in_warm_up: bool = False) -> None:
        self.deadly, self.in_warm_up = deadly, in_warm_up

    def finished(self, search: SampleSearch) -> bool:
        return 1 in search.settled

    def warm_up(self, search: SampleSearch, deadline: Deadline) -> None:
        search.safe = 0.125
        self._perhaps_die(search, here=self.in_warm_up)

    def close(self, search: SampleSearch, deadline: Deadline) -> None:
        self._perhaps_die(search, here=True)
        search.settled.add(1)

    def _perhaps_die(self, search: SampleSearch, *, here: bool) -> None:
        if here and float(search.center[0]) == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)


def test_answers_errors_and_deaths() -> None:
    before = children()
    with Crew(answer, 0.5, 2) as crew:
        assert sorted(crew.work(enumerate([1.0, 2.0, 3.0]))) == [(0, 1.5), (1, 2.5), (2, 3.5)]
        busy = children()
        assert len(busy) == len(before) + 2
        # The same processes serve the next round, and only the dead one is replaced.
        assert sorted(crew.work(enumerate([1.0, "die", 2.0, 3.0])), key=lambda pair: pair[0]) == [
            (0, 1.5),
            (1, None),
            (2, 2.5),
            (3, 3.5),
        ]
        assert len(set(children()) & set(busy)) == 1
        with pytest.raises(InputError, match="no such task"):
            list(crew.work(enumerate(["raise"])))
    assert children() == before


def test_a_process_that_cannot_begin_is_an_error_not_a_loss(tmp_path: Path) -> None:
    # Without the guard, a spawned process runs the script again instead of its task.
    script = (
        "from tests.test_workers import answer\nfrom wdaverify.risk.processes import Crew\n"
        "with Crew(answer, 0.5, 1) as crew:\n    print(list(crew.work([(0, 1.0)])))\n"
    )
    path = tmp_path / "unguarded.py"
    path.write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, env=environment, check=False)
    assert SolverError.__name__ in result.stderr
    assert "if __name__ == '__main__'" in result.stderr
    assert result.returncode == 1


@pytest.mark.parametrize("in_warm_up", [False, True])
def test_a_dead_worker_costs_its_sample_only(in_warm_up: bool) -> None:
    searches = {i: SampleSearch(center=np.array([x]), label=0, starts={}) for i, x in enumerate([0.25, 0.5, 0.0])}
    reported: dict[int, SampleSearch] = {}
    with pytest.warns(RuntimeWarning, match="worker process of sample 1 died"):
        close_in_turn(Line(0.5, in_warm_up=in_warm_up), searches, DistanceOptions(workers=2), reported.__setitem__)
    assert sorted(reported) == [0, 1, 2]
    assert [i for i in range(3) if reported[i].settled] == [0, 2]
    # What the warm-up found is kept.
    assert reported[1].safe == (0.0 if in_warm_up else 0.125)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_reports_what_the_warm_up_found(workers: int) -> None:
    searches = {i: SampleSearch(center=np.array([x]), label=0, starts={}) for i, x in enumerate([0.25, 0.5, 0.0])}
    reported: dict[int, SampleSearch] = {}

    def report(index: int, search: SampleSearch) -> None:
        reported[index] = search
        if len(reported) == 1:
            raise KeyboardInterrupt

    before = children()
    with pytest.raises(KeyboardInterrupt):
        close_in_turn(Line(), searches, DistanceOptions(workers=workers), report)
    assert sorted(reported) == [0, 1, 2]
    assert all(search.safe == 0.125 for search in reported.values())
    assert children() == before


class Slow(Line):
    """Never closes anything."""

    def close(self, search: SampleSearch, deadline: Deadline) -> None:
        time.sleep(600)


SCRIPT = """
import json, sys
import numpy as np
from tests.test_workers import SampleSearch, Slow, children
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.workers import close_in_turn
if __name__ == "__main__":
    searches = {i: SampleSearch(center=np.array([float(i)]), label=0, starts={}) for i in range(3)}
    found = {}
    print("begun", flush=True)
    try:
        close_in_turn(Slow(), searches, DistanceOptions(workers=2), found.__setitem__)
    except KeyboardInterrupt:
        print(json.dumps([{i: s.safe for i, s in found.items()}, children()]), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("patience", [0.05, 4.0])
def test_a_real_ctrl_c_reaches_the_whole_group_and_leaves_no_process(tmp_path: Path, patience: float) -> None:
    """Early, while the workers still load, and late, while they work."""
    script = tmp_path / "search.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(patience)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    safe, left = json.loads(out)
    assert sorted(safe) == ["0", "1", "2"]
    # How far the workers got by then depends on the machine; what is reported is never more than they found.
    assert set(safe.values()) <= {0.0, 0.125}
    assert left == []
