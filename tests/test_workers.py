"""Samples shared over worker processes: what they find is kept, one that is lost keeps its bracket, and none survives."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.children import children, start_script
from wdaverify._deadline import Deadline
from wdaverify.parallel.executors import SpawnExecutor
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.closing import SampleSearch
from wdaverify.risk.workers import close_in_turn


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


def searches_of(*samples: float) -> dict[int, SampleSearch]:
    return {i: SampleSearch(center=np.array([x]), label=0, starts={}) for i, x in enumerate(samples)}


@pytest.mark.parametrize("in_warm_up", [False, True])
def test_a_dead_worker_costs_its_sample_only(in_warm_up: bool) -> None:
    searches = searches_of(0.25, 0.5, 0.0)
    reported: dict[int, SampleSearch] = {}
    with pytest.warns(RuntimeWarning, match="sample 1 keeps the bracket that it had: a worker process was killed by SIGKILL"):
        close_in_turn(Line(0.5, in_warm_up=in_warm_up), searches, DistanceOptions(workers=2), reported.__setitem__)
    assert sorted(reported) == [0, 1, 2]
    assert [i for i in range(3) if reported[i].settled] == [0, 2]
    # What the warm-up found is kept.
    assert reported[1].safe == (0.0 if in_warm_up else 0.125)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_reports_what_the_warm_up_found(workers: int) -> None:
    searches = searches_of(0.25, 0.5, 0.0)
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


class Stuck(Line):
    """Goes on for ever where `Line` dies."""

    def _perhaps_die(self, search: SampleSearch, *, here: bool) -> None:
        if here and float(search.center[0]) == self.deadly:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)


@pytest.mark.slow
def test_a_hung_worker_costs_its_sample_only(monkeypatch: pytest.MonkeyPatch) -> None:
    # The others need less than the grace on any machine.
    monkeypatch.setattr("wdaverify.parallel.hands.open_executor", partial(SpawnExecutor, grace=5.0))
    searches = searches_of(0.25, 0.5, 0.0)
    reported: dict[int, SampleSearch] = {}
    options = DistanceOptions(workers=2, time_limit=0.1).started()
    with pytest.warns(RuntimeWarning, match="sample 1 keeps the bracket that it had: .* long after its deadline"):
        close_in_turn(Stuck(0.5), searches, options, reported.__setitem__)
    assert [i for i in range(3) if reported[i].settled] == [0, 2]
    assert reported[1].safe == 0.125


class Counting(Line):
    """Finds something that depends on the sample."""

    def close(self, search: SampleSearch, deadline: Deadline) -> None:
        search.safe += float(search.center[0]) ** 2
        search.settled.add(1)


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing() -> None:
    found = []
    for workers in (1, 2, 3):
        reported: dict[int, SampleSearch] = {}
        close_in_turn(Counting(), searches_of(0.25, 0.5, 0.0, 0.75, 1.0), DistanceOptions(workers=workers), reported.__setitem__)
        found.append([(reported[i].safe, reported[i].settled, reported[i].center.tolist()) for i in range(5)])
    assert found[0] == found[1] == found[2]


class Slow(Line):
    """Never closes anything."""

    def close(self, search: SampleSearch, deadline: Deadline) -> None:
        time.sleep(600)


SCRIPT = """
import json, sys
import numpy as np
from tests.children import children
from tests.test_workers import SampleSearch, Slow
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
    process = start_script(tmp_path / "search.py", SCRIPT)
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
