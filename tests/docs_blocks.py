"""Run the fenced blocks of a page as a reader would: Python in one namespace, commands in one folder, outputs compared."""

from __future__ import annotations

import contextlib
import doctest
import io
import math
import re
import shlex
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdaverify.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FENCE = re.compile(r"^(?P<skip><!-- not run: .+ -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
CLOSE = 0.05
"""Numbers of an output may differ by this part from what the page shows: machines round differently."""

RUN = ("python", "pycon", "console")


@dataclass(frozen=True)
class Block:
    kind: str
    text: str
    line: int


def blocks(page: Path, kinds: tuple[str, ...] = RUN) -> Iterator[Block]:
    """The blocks of these kinds that are to be run, in order."""
    content = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(content):
        if found["kind"] in kinds and not found["skip"]:
            yield Block(found["kind"], found["text"], content[: found.start()].count("\n") + 1)


def run_page(page: Path) -> None:
    """Run all blocks of a page in the current folder; an exception names the block."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.kind == "python":
            with quiet():
                exec(compile(block.text, where, "exec"), names)
        elif block.kind == "pycon":
            _run_session(block, names, where)
        else:
            _run_commands(block, where)


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    """What libraries warn of and print is not the page's business."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield out


def _run_session(block: Block, names: dict[str, object], where: str) -> None:
    test = doctest.DocTestParser().get_doctest(block.text, names, where, where, block.line)
    said = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test, out=said.write, clear_globs=False)
    assert runner.failures == 0, said.getvalue()
    names.update(test.globs)


def _run_commands(block: Block, where: str) -> None:
    """Each ``$ wdaverify ...`` with the lines after it."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        program, *arguments = shlex.split(command)
        assert program == "wdaverify", f"{where}: only wdaverify can be run, not '{program}'"
        with quiet() as out:
            status = main(arguments)
        assert status == 0, f"{where}: '{command}' ended with status {status}"
        compare(expected, out.getvalue(), f"{where}: {command}")


def compare(expected: str, said: str, where: str) -> None:
    """Words must be the same, numbers close; a line ``...`` stands for any lines, and at the end of a line for any text."""
    pattern = [re.escape(part) for part in re.split(r"\.\.\.", NUMBER.sub("#", expected))]
    matched = re.fullmatch("(?:.*)".join(pattern), NUMBER.sub("#", said), flags=re.DOTALL)
    assert matched, f"{where}: the page shows\n{expected}\nbut it printed\n{said}"
    if "..." not in expected:
        _compare_numbers(expected, said, where)
        return
    lines = said.splitlines()
    for line in expected.splitlines():
        if "..." not in line and not any(_close(line, other) for other in lines):
            raise AssertionError(f"{where}: no line has the numbers of\n{line}\nin\n{said}")


def _close(line: str, other: str) -> bool:
    return NUMBER.sub("#", line) == NUMBER.sub("#", other) and all(
        math.isclose(float(a), float(b), rel_tol=CLOSE, abs_tol=1e-9)
        for a, b in zip(NUMBER.findall(line), NUMBER.findall(other), strict=True)
    )


def _compare_numbers(expected: str, said: str, where: str) -> None:
    for line, other in zip(expected.splitlines(), said.splitlines(), strict=True):
        assert _close(line, other), f"{where}: the page shows\n{line}\nbut it printed\n{other}"
