"""Lists of instances under bad conditions: full disks, folders that cannot be written, impatient users, tiny limits."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.test_bench import STUB, _list, _run, _stubs
from wdaverify._errors import RunStoppedError
from wdaverify.bench.instance_list import read_instances
from wdaverify.bench.journal import Journal
from wdaverify.bench.run import Limits

BENCH = """
import sys

from wdaverify.bench import run
from wdaverify.cli.main import main

if __name__ == "__main__":
    class Stubbed(run.Runner):
        def __init__(self, memory=None):
            super().__init__(memory=memory, program=(sys.executable, sys.argv[1]))
    run.Runner = Stubbed
    sys.exit(main(sys.argv[2:]))
"""


def _bench(folder: Path, *options: str, **process: object) -> subprocess.Popen[str]:
    """`wdaverify bench list.csv`, with the stub in the place of the commands."""
    (folder / "bench.py").write_text(BENCH)
    command = [sys.executable, "bench.py", STUB[1], "bench", "list.csv", "--results", "out.csv", "--quiet", *options]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **process)  # type: ignore[call-overload, no-any-return]


def _verdicts(folder: Path) -> list[str]:
    return [line.split(",")[4] for line in (folder / "out.csv").read_text().splitlines()[1:]]


def test_a_full_disk_stops_the_run_and_is_no_result(tmp_path: Path) -> None:
    instances = _list(tmp_path, ["sat", "full", "unsat"])
    with pytest.raises(RunStoppedError, match=r"instance 2 .*No space left on device; .*run again to go on"):
        _run(instances, tmp_path, Limits())
    with Journal(tmp_path / "journal") as journal:
        assert [outcome.verdict for outcome in journal.finished.values()] == ["sat"]


def test_a_journal_that_cannot_grow_stops_the_run_which_then_goes_on(tmp_path: Path) -> None:
    _list(tmp_path, ["sat", "unsat", "unknown", "sat"])

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))  # of any file: the journal's third line is cut in the middle

    stopped = _bench(tmp_path, preexec_fn=limited)
    errors = stopped.communicate(timeout=120)[1]
    assert stopped.returncode == 1
    assert errors.startswith("wdaverify: error: out.csv.journal: cannot be written: File too large; what is finished is in")
    assert len(errors.splitlines()) == 1
    assert 0 < (tmp_path / "out.csv.journal").read_bytes().count(b"\n") < 4
    again = _bench(tmp_path)
    assert again.communicate(timeout=120)[1] == ""
    assert _verdicts(tmp_path) == ["sat", "unsat", "unknown", "sat"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_said_before_anything_runs(tmp_path: Path) -> None:
    _list(tmp_path, ["sat 30"])
    (tmp_path / "results").mkdir(mode=0o500)
    refused = _bench(tmp_path, "--results", "results/out.csv")
    assert "results/out.csv: cannot write there: Permission denied" in refused.communicate(timeout=60)[1]
    assert refused.returncode == 2


def test_a_results_folder_that_is_a_file_is_said_before_anything_runs(tmp_path: Path) -> None:
    _list(tmp_path, ["sat 30"])
    (tmp_path / "results").write_text("")
    refused = _bench(tmp_path, "--results", "results/out.csv")
    assert "results/out.csv: cannot write there: Not a directory" in refused.communicate(timeout=60)[1]
    assert refused.returncode == 2


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGINT] * 3, [signal.SIGTERM], [signal.SIGTERM, signal.SIGINT]])
def test_signals_end_the_command_orderly(tmp_path: Path, signals: list[signal.Signals]) -> None:
    _list(tmp_path, ["sat", "sat 60", "sat 60"])
    run = _bench(tmp_path, "--workers", "2", start_new_session=True)
    until = time.monotonic() + 60
    while len(_stubs(tmp_path)) < 2 or not (tmp_path / "out.csv.journal").read_bytes():
        assert time.monotonic() < until
        time.sleep(0.05)
    for each in signals:
        run.send_signal(each)
        time.sleep(0.05)
    errors = run.communicate(timeout=20)[1]
    assert run.returncode in (130, -signal.SIGINT)  # the latter if a signal came when there was nothing left to end
    assert "Traceback" not in errors or len(signals) > 1
    assert not _stubs(tmp_path)
    with Journal(tmp_path / "out.csv.journal") as journal:
        assert len(journal.finished) == 1
    if len(signals) == 1:
        assert errors == "wdaverify: error: interrupted\n"
        assert _verdicts(tmp_path) == ["sat"]


def test_tiny_limits_are_outcomes(tmp_path: Path) -> None:
    slow = _run(_list(tmp_path, ["sat 60"], timeout=0.01), tmp_path, Limits())
    assert slow[0].verdict == "timeout"
    assert slow[0].seconds < 2.5
    large = _run(read_instances(tmp_path / "list.csv", timeout=60), tmp_path, Limits(memory=1))
    assert large[0].verdict == "memout"


def test_an_answer_that_is_none_is_an_error_of_its_row(tmp_path: Path) -> None:
    answers = [
        '{"kind": "property"}', '{"kind": "property", "verdict": "maybe"}', '{"kind": "risk", "curve": 3}', "[]", "{",
        '{"kind": "distance", "distances": [{"distance": {"lower": 2, "upper": 1, "status": "exact"}}]}',
        '{"kind": "distance", "distances": [{"distance": {"lower": "nan", "upper": 1, "status": "bracket"}}]}',
    ]  # fmt: skip
    found = _run(_list(tmp_path, [f"nonsense {answer}" for answer in answers]), tmp_path, Limits(workers=2))
    assert {outcome.verdict for outcome in found} == {"error"}
