"""Lists of instances: processes that misbehave cost their own row, journals survive any end, runs go on where they stopped."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from wdaverify._errors import InputError
from wdaverify.bench.instance import Instance
from wdaverify.bench.instance_list import read_instances
from wdaverify.bench.journal import Journal
from wdaverify.bench.outcome import Outcome
from wdaverify.bench.run import Limits, Runner, run_instances

STUB = (sys.executable, str(Path(__file__).with_name("bench_stub.py")))

RUN = """
import sys
from pathlib import Path
from wdaverify.bench.instance_list import read_instances
from wdaverify.bench.journal import Journal
from wdaverify.bench.run import Limits, Runner, run_instances

if __name__ == "__main__":
    with Journal(Path("journal")) as journal:
        runner = Runner(program=(sys.executable, sys.argv[1]))
        run_instances(read_instances(Path("list.csv")), journal, limits=Limits(workers=2), runner=runner)
"""


def _list(folder: Path, behaviours: list[str], timeout: float = 30.0) -> tuple[Instance, ...]:
    (folder / "p.vnnlib").write_text("")
    rows = []
    for k, behaviour in enumerate(behaviours):
        (folder / f"m{k}").write_text(behaviour)
        rows.append(f"m{k},p.vnnlib,{timeout}")
    (folder / "list.csv").write_text("\n".join(rows))
    return read_instances(folder / "list.csv")


def _run(instances: tuple[Instance, ...], folder: Path, limits: Limits, **options: object) -> list[Outcome]:
    with Journal(folder / "journal") as journal:
        found = run_instances(instances, journal, limits=limits, runner=Runner(memory=limits.memory, program=STUB), **options)  # type: ignore[arg-type]
    return [found[i.row] for i in instances]


def test_each_misbehaviour_costs_its_own_row(tmp_path: Path) -> None:
    behaviours = ["loop", "sat", "allocate 1000", "segfault", "fail", "unsat"]
    started = time.monotonic()
    found = _run(_list(tmp_path, behaviours, timeout=2.0), tmp_path, Limits(workers=2, memory=100))
    assert [outcome.verdict for outcome in found] == ["timeout", "sat", "memout", "error", "error", "unsat"]
    assert found[0].seconds < 2.0 * 1.1 + 2.0 + 0.5  # half a second for the machine's load
    assert "signal 11" in found[3].error
    assert found[4].error == "it failed"
    assert time.monotonic() - started < 25
    assert not _stubs(tmp_path)


def _stubs(folder: Path) -> list[psutil.Process]:
    """Processes that answer instances of a folder: other tests run beside this one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if STUB[1] in words and any(str(folder) in word for word in words):
                found.append(process)
    return found


def test_a_finished_run_repeats_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instances = _list(tmp_path, ["sat", "unsat", "unknown"])
    first = _run(instances, tmp_path, Limits())
    monkeypatch.setenv("BENCH_STUB_LOG", str(tmp_path / "log"))
    assert _run(instances, tmp_path, Limits()) == first
    assert not (tmp_path / "log").exists()


def test_equal_rows_are_told_apart_and_changed_files_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _list(tmp_path, ["sat", "unsat"])
    (tmp_path / "list.csv").write_text("m0,p.vnnlib,9\nm1,p.vnnlib,9\nm0,p.vnnlib,9\n")
    instances = read_instances(tmp_path / "list.csv")
    monkeypatch.setenv("BENCH_STUB_LOG", str(tmp_path / "log"))
    _run(instances, tmp_path, Limits())
    assert (tmp_path / "log").read_text().split() == ["m0", "m1", "m0"]
    (tmp_path / "other").mkdir()
    changed = _list(tmp_path / "other", ["sat", "unknown"], timeout=9)
    with Journal(tmp_path / "journal") as journal:
        keys = [each.key(0, None) for each in changed]
        assert [key in journal.finished for key in keys] == [True, False]  # equal contents elsewhere, and another file


def test_a_journal_cut_at_any_byte_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    ends = [(1 + k / 3, "inf") for k in range(4)]
    outcomes = {
        f"{k:064d}": Outcome(verdict="bracket", lower=(0.1, "-inf"), upper=upper, error="ü \n") for k, upper in enumerate(ends)
    }
    with Journal(path) as journal:
        for key, outcome in outcomes.items():
            journal.add(key, outcome)
    content = path.read_bytes()
    line_ends = [k + 1 for k, byte in enumerate(content) if byte == 10]
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        with Journal(path) as journal:
            whole = sum(end <= cut for end in line_ends)
            assert journal.finished == dict(list(outcomes.items())[:whole])
            journal.add("again", outcomes[f"{0:064d}"])
        with Journal(path) as journal:
            assert list(journal.finished) == [*list(outcomes)[:whole], "again"]


def test_a_journal_damaged_elsewhere_is_refused_and_can_be_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        for key in ("a", "b"):
            journal.add(key, Outcome(verdict="sat"))
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"line 1: damaged \(its digest is wrong\); --restart"):
        Journal(path)
    with Journal(path, restart=True) as journal:
        assert journal.finished == {}


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal"), pytest.raises(InputError, match="another run"):
        Journal(tmp_path / "journal")


def test_killed_at_random_moments_it_ends_like_an_uninterrupted_run(tmp_path: Path) -> None:
    count, log = 12, tmp_path / "log"
    instances = _list(tmp_path, [f"{('sat', 'unsat')[k % 2]} 0.15" for k in range(count)])
    script = tmp_path / "run.py"
    script.write_text(RUN)
    rng, kills = random.Random(0), 0
    environment = os.environ | {"BENCH_STUB_LOG": str(log)}
    while True:
        command = [sys.executable, str(script), STUB[1]]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment)
        try:
            process.wait(rng.uniform(0.3, 1.2) if kills < 6 else 60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            time.sleep(0.3)
            assert not _stubs(tmp_path)
            continue
        assert process.returncode == 0
        break
    with Journal(tmp_path / "journal") as journal:
        assert [journal.finished[i.key(0, None)].verdict for i in instances] == [("sat", "unsat")[k % 2] for k in range(count)]
        assert len(journal.finished) == count
    begun = log.read_text().split()
    assert len(begun) <= count + 2 * kills
    assert set(begun) == {f"m{k}" for k in range(count)}


def test_an_interrupt_ends_orderly(tmp_path: Path) -> None:
    _list(tmp_path, ["sat", "sat 30", "sat 30", "sat"])
    (tmp_path / "run.py").write_text(RUN)
    process = subprocess.Popen([sys.executable, "run.py", STUB[1]], cwd=tmp_path, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while len(_stubs(tmp_path)) < 2 or not (tmp_path / "journal").read_bytes():
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) != 0
    assert not _stubs(tmp_path)
    with Journal(tmp_path / "journal") as journal:
        assert len(journal.finished) == 1
