"""The command line among closed, full, impatient and narrow streams."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = Path(__file__).parent / "data" / "hostile"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a model as working directory."""
    shutil.copy(HOSTILE / "two_class.onnx", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMAND = [sys.executable, "-c", "import sys; from wdaverify.cli.main import main; sys.exit(main(sys.argv[1:]))"]
PLAIN = [["inspect", "two_class.onnx"], ["--help"], ["certify", "--help"], ["--version"]]


@pytest.mark.parametrize("arguments", PLAIN)
def test_a_reader_that_leaves_early_is_no_error(folder, arguments):
    reading, writing = os.pipe()
    # Closed before the command begins: no race.
    os.close(reading)
    result = subprocess.run([*COMMAND, *arguments], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", PLAIN)
def test_streams_that_are_closed_are_no_error(folder, arguments):
    for close in (">&-", "2>&-", ">&- 2>&-"):
        command = ["sh", "-c", f'exec "$@" {close}', "sh", *COMMAND, *arguments]
        result = subprocess.run(command, capture_output=True, check=False)
        assert (result.returncode, result.stderr) == (0, b"")
    missing = ["sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND, "inspect", "none.onnx"]
    result = subprocess.run(missing, capture_output=True, check=False)
    assert (result.returncode, result.stdout) == (2, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["inspect", "two_class.onnx"], ["--help"]])
def test_output_that_cannot_be_written_is_one_line(folder, arguments):
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1
    assert result.stderr.count(b"\n") == 1
    assert b"No space left" in result.stderr


def test_names_that_a_stream_cannot_hold_are_escaped(folder):
    shutil.copy("two_class.onnx", "n\u00e4he.onnx")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [*COMMAND, "inspect", "n\u00e4he.onnx", "--output", "i.json"]
    result = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"n\\xe4he.onnx" in result.stdout
    assert json.loads((folder / "i.json").read_text())["model"]["file"].endswith("n\u00e4he.onnx")


def test_names_that_are_no_text_are_escaped(folder):
    """A file name is bytes; one in Latin-1 is no UTF-8."""
    name = os.fsdecode(b"n\xe4he.onnx")
    shutil.copy("two_class.onnx", name)
    result = subprocess.run([*COMMAND, "inspect", name, "--output", "i.json"], capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert json.loads((folder / "i.json").read_text())["model"]["file"].endswith("he.onnx")


def test_solvers_print_nothing_of_their_own(folder):
    """The verdict is the first line of stdout: a solver's banner would be read as one."""
    traps = HOSTILE.parent / "traps"
    command = [*COMMAND, "verify", str(traps / "t4a_margin_neg.onnx"), str(traps / "t4a_margin_neg.vnnlib")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "unsat\n")
