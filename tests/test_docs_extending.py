"""The differences of docs/extending.md apply to the package as it is, and do what the page says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs_blocks import blocks

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "extending.md"
COPIED = ("wdaverify", "solvers", "pyproject.toml")


def run(command: list[str], folder: Path, text: str | None = None, **environment: str) -> None:
    changed = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, check=False, env=changed)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A copy of the package with all differences applied, and its entry points as an installation would register them."""
    folder = tmp_path_factory.mktemp("extended")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (folder / "instances").symlink_to(ROOT / "instances")
    for block in blocks(PAGE, ("diff",)):
        run(["git", "apply", "--whitespace=nowarn", "-"], folder, block.text, GIT_CEILING_DIRECTORIES=str(folder.parent))
    points = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    registered = "".join(f"[{group}]\n" + "".join(f"{n} = {o}\n" for n, o in each.items()) for group, each in points.items())
    metadata = folder / "wdaverify-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: wdaverify\nVersion: 0.1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(registered, encoding="utf-8")
    return folder


@pytest.mark.parametrize("block", [*blocks(PAGE, ("python",))], ids=lambda block: f"line {block.line}")
def test_what_was_added_works(block, changed):
    run([sys.executable, "-c", block.text], changed, PYTHONPATH=os.pathsep.join(map(str, [changed, changed / "solvers"])))


def test_without_the_differences_nothing_of_it_works():
    for block in blocks(PAGE, ("python",)):
        done = subprocess.run([sys.executable, "-c", block.text], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert any(word in done.stderr for word in ("HardSigmoid", "perceptron", "scipy", "uniform"))


def test_there_is_one_difference_for_each_title():
    assert PAGE.read_text(encoding="utf-8").count("\n## ") == len(list(blocks(PAGE, ("diff",)))) == 4


def test_the_differences_satisfy_the_linter(changed):
    run([sys.executable, "-m", "ruff", "check", "--no-cache", "wdaverify", "solvers"], changed)
    run([sys.executable, "-m", "ruff", "format", "--no-cache", "--check", "wdaverify", "solvers"], changed)
