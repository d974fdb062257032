"""Instances on the workers of a real scheduler, one of which is killed while it works."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.test_bench import STUB, _list
from wdaverify._errors import InputError
from wdaverify.bench.journal import Journal
from wdaverify.bench.run import Limits, Runner, run_instances
from wdaverify.parallel.remote import remote_executor

pytest.importorskip("distributed")


def _start(*arguments: str, folder: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
        cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_killed_worker_costs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    processes = [_start("dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file), folder=tmp_path)]
    try:
        worker = ("dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard", "--no-nanny")
        processes.extend(_start(*worker, folder=tmp_path) for _ in range(2))
        address = _address(file)
        behaviours = ["sat 0.3", "unsat 0.3"] * 6
        instances = _list(tmp_path, behaviours)
        with remote_executor(address) as (executor, hands), Journal(tmp_path / "journal") as journal:
            seen: list[int] = []

            def finished(instance: object, outcome: object) -> None:
                seen.append(1)
                if len(seen) == 2:
                    threading.Thread(target=processes[1].kill).start()

            found = run_instances(
                instances,
                journal,
                limits=Limits(workers=hands),
                runner=Runner(program=STUB),
                executor=executor,
                finished=finished,
            )
        assert [found[i.row].verdict for i in instances] == [b.split()[0] for b in behaviours]
        assert processes[1].wait(10) != 0
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _address(file: Path) -> str:
    """The address of the scheduler, when two workers have come."""
    import json

    from distributed import Client

    until = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < until
        time.sleep(0.1)
    time.sleep(0.2)
    address: str = json.loads(file.read_text())["address"]
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    return address.replace("tcp://", "dask://")


@pytest.mark.parametrize("address", ["dask://", "slurm://x", "localhost:1"])
def test_addresses_of_no_kind_are_refused(address: str) -> None:
    with pytest.raises(InputError, match="is no address of an executor"), remote_executor(address):
        pass


def test_a_scheduler_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wdaverify.parallel.remote._PATIENCE", 1)
    with (
        pytest.raises(InputError, match=r"no Dask scheduler answers at dask://127\.0\.0\.1:9"),
        remote_executor("dask://127.0.0.1:9"),
    ):
        pass
