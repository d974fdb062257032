"""Distances and certificates by the workers of a real scheduler: equal to those of this process, whatever dies meanwhile."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.test_bench import STUB, _list, _stubs
from tests.test_bench_dask import _address, _start
from wdaverify._errors import RunStoppedError
from wdaverify._types import Norm
from wdaverify.bench.journal import Journal
from wdaverify.bench.run import Limits, Runner, run_instances
from wdaverify.dataset import Dataset
from wdaverify.domain import Box
from wdaverify.ir.load import load
from wdaverify.parallel.remote import remote_executor
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.certify import certify
from wdaverify.risk.distance import distances
from wdaverify.transport import WassersteinBall

pytest.importorskip("distributed")

IRIS = Path(__file__).parents[1] / "instances" / "iris"


@dataclass(frozen=True)
class Cluster:
    """A scheduler, two workers, and the address."""

    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]
    address: str


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    file = tmp_path / "scheduler.json"
    processes = [_start("dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file), folder=tmp_path)]
    try:
        worker = ("dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard", "--no-nanny")
        processes.extend(_start(*worker, folder=tmp_path) for _ in range(2))
        yield Cluster(processes[0], processes[1:], _address(file))
    finally:
        for process in processes:
            process.kill()
            process.wait()


class _Killer:
    """Kills a process when it is called for the second time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.calls, self.process = 0, process

    def __call__(self, *_: object) -> None:
        self.calls += 1
        if self.calls == 2:
            self.process.kill()


@pytest.mark.slow
def test_distances_are_those_of_this_process_though_a_worker_is_killed(cluster: Cluster) -> None:
    network, data = load(IRIS / "iris-16-16.onnx"), Dataset.load(IRIS / "iris-test.npz").first(12)
    here = distances(network, data, norm=Norm.LINF, domain=Box(0, 1), options=DistanceOptions())
    killer = _Killer(cluster.workers[0])
    options = DistanceOptions(executor=cluster.address)
    there = distances(network, data, norm=Norm.LINF, domain=Box(0, 1), options=options, progress=killer)
    assert cluster.workers[0].wait(10) != 0
    assert killer.calls == 12
    assert [(d.distance.lower, d.distance.upper, d.target) for d in there] == [
        (d.distance.lower, d.distance.upper, d.target) for d in here
    ]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["zero-one", "margin"])
def test_risks_are_those_of_this_process_though_a_worker_is_killed(cluster: Cluster, loss: str) -> None:
    network, data = load(IRIS / "iris-16-16.onnx"), Dataset.load(IRIS / "iris-test.npz").first(8)
    found = []
    for address, progress in ((None, None), (cluster.address, _Killer(cluster.workers[1]))):
        certificate = certify(
            network, data, WassersteinBall(0.05), loss=loss, radii=[0.02, 0.05], comparison_time=0, progress=progress,
            options=DistanceOptions(executor=address, gap=1e-4),
        )  # fmt: skip
        found.append([(point.risk.lower, point.risk.upper) for point in certificate.curve])
    assert cluster.workers[1].wait(10) != 0
    # The order in which prices are found may differ, so brackets may as well: within their own width.
    for here, there in zip(*found, strict=True):
        assert max(here[0], there[0]) <= min(here[1], there[1])
        np.testing.assert_allclose(there, here, rtol=2e-4)


def test_a_lost_scheduler_stops_a_run_which_can_go_on(cluster: Cluster, tmp_path: Path) -> None:
    instances = _list(tmp_path, ["sat", "sat 60", "sat 60"])
    with Journal(tmp_path / "journal") as journal, remote_executor(cluster.address) as (executor, hands):
        started = time.monotonic()
        with pytest.raises(RunStoppedError, match=r"gave up a task: the scheduler was lost"):
            run_instances(
                instances, journal, limits=Limits(workers=hands), runner=Runner(program=STUB), executor=executor,
                finished=lambda *_: cluster.scheduler.kill(),
            )  # fmt: skip
        assert time.monotonic() - started < 40
        assert [outcome.verdict for outcome in journal.finished.values()] == ["sat"]


def test_a_lost_scheduler_ends_a_search_with_one_error(cluster: Cluster) -> None:
    network, data = load(IRIS / "iris-16-16.onnx"), Dataset.load(IRIS / "iris-test.npz").first(12)
    options = DistanceOptions(executor=cluster.address)
    with pytest.raises(RunStoppedError, match="gave up a task"):
        distances(network, data, norm=Norm.LINF, domain=Box(0, 1), options=options, progress=_Killer(cluster.scheduler))


def test_processes_on_workers_end_when_nobody_wants_them(cluster: Cluster, tmp_path: Path) -> None:
    instances = _list(tmp_path, ["sat", "sat 100"], timeout=200)

    with Journal(tmp_path / "journal") as journal, remote_executor(cluster.address) as (executor, hands):

        def finished(*_: object) -> None:
            until = time.monotonic() + 30
            while not _stubs(tmp_path):
                assert time.monotonic() < until
                time.sleep(0.1)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_instances(
                instances,
                journal,
                limits=Limits(workers=hands),
                runner=Runner(program=STUB),
                executor=executor,
                finished=finished,
            )
    until = time.monotonic() + 20
    while _stubs(tmp_path):
        assert time.monotonic() < until
        time.sleep(0.1)
