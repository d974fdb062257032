"""Where results cannot be written: said in one line before the work, with exit status 2; and what a full disk leaves.

Root writes everywhere; its processes are started here without that right (CAP_DAC_OVERRIDE, by setpriv), so that they are refused
like anyone's.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODEL, DATA = ROOT / "instances/iris/iris-16-16.onnx", ROOT / "instances/iris/iris-test.npz"
PROPERTY = ROOT / "instances/properties/iris-0-0.02.vnnlib"
_RIGHTS = "-dac_override,-dac_read_search,-fowner"
_DROP = ["setpriv", f"--bounding-set={_RIGHTS}", f"--inh-caps={_RIGHTS}"] if os.geteuid() == 0 else []


def run(arguments: Sequence[object], **options: object) -> subprocess.CompletedProcess[str]:
    """A command of the program, in a process that may not write everywhere."""
    command = [*_DROP, sys.executable, "-m", "wdaverify.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT, **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module", autouse=True)
def _rights_can_be_dropped(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("probe")
    folder.chmod(0o555)
    if _DROP and shutil.which("setpriv") is None:
        pytest.skip("root, and no setpriv")
    probe = subprocess.run([*_DROP, "touch", str(folder / "f")], capture_output=True, check=False)
    if probe.returncode == 0:
        pytest.skip("this machine lets everybody write everywhere")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that may be read only, with a file in it."""
    place = tmp_path / "kept"
    place.mkdir()
    (place / "list.csv").write_text(f"{MODEL},{PROPERTY},20\n")
    place.chmod(0o555)
    yield place
    place.chmod(0o755)


COMMANDS = {
    "certify": ["certify", MODEL, "--data", DATA, "--output", "{0}/x.json"],
    "certify-report": ["certify", MODEL, "--data", DATA, "--report", "{0}/x.html"],
    "lipschitz": ["lipschitz", MODEL, "--output", "{0}/x.json"],
    "distance": ["distance", MODEL, "--data", DATA, "--output", "{0}/x.json"],
    "verify": ["verify", MODEL, PROPERTY, "--output", "{0}/x.json"],
    "attack": ["attack", MODEL, "--data", DATA, "--output", "{0}/x.json"],
    "attack-journal": ["attack", MODEL, "--data", DATA, "--journal", "{0}/x"],
    "bench": ["bench", "{0}/list.csv", "--results", "{0}/x.csv"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_may_not_be_written_is_said_first(command: str, folder: Path, tmp_path: Path) -> None:
    found = run([str(part).format(folder, tmp_path) for part in COMMANDS[command]])
    assert (found.returncode, found.stdout) == (2, ""), found
    assert found.stderr.count("\n") == 1
    assert str(folder / "x") in found.stderr
    assert "Permission denied" in found.stderr
    assert [path.name for path in folder.iterdir()] == ["list.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_journal_that_may_not_be_written_is_said_first(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"{MODEL},{PROPERTY},20\n")
    (tmp_path / "r.csv.journal").touch(0o444)
    found = run(["bench", tmp_path / "list.csv", "--results", tmp_path / "r.csv"])
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (2, "", 1)
    assert f"{tmp_path}/r.csv.journal: cannot be written" in found.stderr
    assert not (tmp_path / "r.csv").exists()


@pytest.mark.parametrize(("command", "size"), [("lipschitz", 3000), ("verify", 100), ("attack-journal", 100)])
def test_a_full_disk_takes_no_answer_away(command: str, size: int, tmp_path: Path) -> None:
    """No file can be longer than `size` bytes (RLIMIT_FSIZE): the answer is printed, and nothing half-written stays."""
    arguments = [str(part).format(tmp_path, tmp_path) for part in COMMANDS[command]]
    if "--data" in arguments:
        arguments += ["--samples", "2"]
    found = run(arguments, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    lines = [line for line in found.stderr.splitlines() if line.startswith("wdaverify: error")]
    assert "Traceback" not in found.stderr
    if found.returncode == 0:  # the report fits, and says so if it holds no proof
        assert lines == []
        assert (tmp_path / "x.json").exists()
        assert "holds no proof: it could not be written: File too large" in found.stderr
    else:
        assert found.returncode == 2
        assert lines == [
            f"wdaverify: error: {tmp_path}/x{'' if command == 'attack-journal' else '.json'}: cannot be written: File too large"
        ]
        assert not (tmp_path / "x.json").exists()
    assert found.stdout or command == "attack-journal"
    assert {path.name for path in tmp_path.rglob("*")} <= {"x", "x.json", "journal.lock"}
