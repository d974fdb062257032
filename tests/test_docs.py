"""The documentation is true: its examples run, its commands are all there, its numbers are those of the benchmarks."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import torch
from matplotlib import pyplot
from typer.main import get_command

import wdaverify as wv
from tests.docs_blocks import blocks, compare, run_page
from wdaverify.cli.main import _application

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
APART = {"extending.md"}
"""Its differences are applied to a copy of the package, in `test_docs_extending`."""

LONG = {"long-runs.md"}
"""Its programs need a cluster."""


@pytest.fixture
def _in_a_folder(tmp_path, monkeypatch):
    """Pages find the shipped instances, and write elsewhere."""
    (tmp_path / "instances").symlink_to(ROOT / "instances")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)
    pyplot.close("all")


RUNNING = [page for page in PAGES if page.name not in APART | LONG and list(blocks(page))]


@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.name)
@pytest.mark.usefixtures("_in_a_folder")
def test_the_examples_of_a_page_run(page):
    run_page(page)


@pytest.mark.usefixtures("_in_a_folder")
def test_the_examples_of_the_readme_run():
    run_page(ROOT / "README.md")


def test_pages_with_examples_are_found():
    assert {"tutorial.md", "reading.md"} <= {page.name for page in RUNNING}


@pytest.mark.parametrize(
    ("expected", "said", "same"),
    [
        ("risk: 0.5 (exact)\n", "risk: 0.50001 (exact)\n", True),
        ("risk: 0.5 (exact)\n", "risk: 0.9 (exact)\n", False),
        ("risk: 0.5 (exact)\n", "risk: 0.5 (bracket)\n", False),
        ("...\nrisk: 0.5\n...\n", "model\nrisk: 0.51\nmore\n", True),
        ("...\nrisk: 0.5\n...\n", "model\nrisk: 0.9\nmore\n", False),
        ("ACCEPT ...\n", "REJECT 3\n", False),
    ],
)
def test_the_comparison_can_fail(expected, said, same):
    if same:
        compare(expected, said, "here")
    else:
        with pytest.raises(AssertionError, match="here"):
            compare(expected, said, "here")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_what_the_command_line_says():
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert page == script("make_commands").page(), "run python docs/make_commands.py"


def test_every_option_is_documented():
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, flags=re.MULTILINE | re.DOTALL))
    commands = get_command(_application()).commands
    assert set(sections) == set(commands)
    for name, command in commands.items():
        for option in command.params:
            if option.param_type_name == "option":
                assert f"`{option.opts[0]}" in sections[name], f"{name} {option.opts[0]}"
                assert option.help, f"{name} {option.opts[0]} has no help"


def test_every_public_name_is_in_the_page_of_the_api():
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    missing = [name for name in wv.__all__ if name != "plot" and not re.search(rf"\.{name}$", page, flags=re.MULTILINE)]
    assert missing == []
    assert [name for name in wv.plot.__all__ if f"wdaverify.plot.{name}" not in page] == []


def test_links_between_files_lead_somewhere():
    for page in [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_picture_is_small():
    assert 10_000 < (DOCS / "images" / "cells.png").stat().st_size < 200_000


def test_every_number_of_the_comparison_is_a_result():
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    words = re.sub(r"`[^`]*`", "", (DOCS / "comparison.md").read_text(encoding="utf-8"))
    numbers = re.findall(r"(?<![\w.-])-?\d+\.\d+(?![\w-])", words)
    assert len(numbers) > 50
    known = set(re.findall(r"-?\d+\.\d+", results))
    assert [number for number in numbers if number not in known] == []
