"""What a terminal shows and what a pipe gets: tables, progress, silence, colours."""

from __future__ import annotations

import os
import pty
import re
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import wdaverify as wv
from wdaverify._deadline import Deadline
from wdaverify.cli.main import main
from wdaverify.report import progress, text
from wdaverify.report.pace import left_by_count, left_by_width
from wdaverify.risk.adversarial import AdversarialDistance
from wdaverify.risk.exploration import Progress

INSTANCES = Path(__file__).parents[1] / "instances"
IRIS = (str(INSTANCES / "iris/iris-16-16.onnx"), "--data", str(INSTANCES / "iris/iris-test.npz"))
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
STYLED = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-9]|4[0-9]|9[0-9])(?:;[0-9]+)*m")


@contextmanager
def terminal(monkeypatch, *names: str, columns: int = 80):
    """Streams of these names that are a terminal; yields a function that closes it and gives what it showed."""
    keeper, slave = pty.openpty()
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    seen: list[bytes] = []

    def read() -> None:
        try:
            while block := os.read(keeper, 4096):
                seen.append(block)
        except OSError:  # how Linux says that nobody holds the other end any more
            pass

    reader = threading.Thread(target=read)
    reader.start()
    stream = os.fdopen(slave, "w", encoding="utf-8", buffering=1)
    for name in names:
        monkeypatch.setattr(sys, name, stream)

    def shown() -> str:
        if not stream.closed:
            stream.close()
            reader.join(10)
            os.close(keeper)
        return b"".join(seen).decode().replace("\r\n", "\n")

    yield shown
    shown()


def _distance(sample: int, lower: float, upper: float) -> AdversarialDistance:
    return AdversarialDistance(sample=sample, label=0, distance=wv.Bracket(lower=lower, upper=upper))


def _watch_distances(*, quiet: bool) -> None:
    data, ball = wv.Dataset(np.zeros((4, 1)), [0, 0, 0, 0]), wv.WassersteinBall(radius=0.1)
    with progress.distance_bar(data, quiet=quiet, deadline=Deadline.after(3600.0), ball=ball) as advance:
        for sample in range(4):
            advance(_distance(sample, 0.2, 0.25))


def test_the_bracket_closes_before_ones_eyes(monkeypatch):
    """Samples at 0.2 to 0.25: a budget of 0.1 moves 0.4 to 0.5 of the mass; an open one may be an error, or none at all."""
    monkeypatch.setattr(progress._Left, "max_refresh", None)
    with terminal(monkeypatch, "stderr", columns=150) as shown:
        _watch_distances(quiet=False)
        words = COLOUR.sub("", shown())
    assert "4/4" in words
    assert "other certificates, for comparison" in words


def test_brackets_of_unfinished_samples_are_honest(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(progress, "_wanted", lambda quiet: True)

    @contextmanager
    def count(*_):
        yield lambda done, known: said.append(known)

    monkeypatch.setattr(progress, "_count", count)
    _watch_distances(quiet=False)
    assert said == [f"risk at 0.1: {ends}" for ends in ("[0.25, 1]", "[0.4, 1]", "[0.4, 0.75]", "[0.4, 0.5]")]


def test_quiet_and_piped_commands_show_no_progress(monkeypatch, capsys):
    _watch_distances(quiet=False)  # standard error is no terminal here
    assert capsys.readouterr().err == ""
    with terminal(monkeypatch, "stderr") as shown:
        _watch_distances(quiet=True)
        with progress.bracket_line(quiet=True, gap=1e-6, deadline=Deadline()) as advance:
            advance(Progress(0.05, 0.25, 0.5))
        with progress.stage("proofs", quiet=True):
            pass
        assert shown() == ""


@pytest.mark.parametrize("plain", [False, True])
def test_colours_are_for_terminals_that_want_them(monkeypatch, plain):
    with terminal(monkeypatch, "stderr", "stdout", columns=120) as shown:
        if plain:
            monkeypatch.setenv("NO_COLOR", "1")
        text.table(["name", "value"], [["a", "1"], ["b", "22"]])
        _watch_distances(quiet=False)
        words = shown()
    assert bool(STYLED.search(words)) is not plain
    assert "4/4" in COLOUR.sub("", words)


def test_piped_tables_are_whole_whatever_the_window(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    long = "a-very-long-name-of-a-model/" * 12
    text.table(["model", "seconds"], [[long, "1.5"], ["short", "22.25"]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["model", "seconds"]
    assert [line.split() for line in lines[1:]] == [[long, "1.5"], ["short", "22.25"]]
    assert len({len(line) for line in lines}) == 1  # the last column stands to the right
    assert not any("\x1b" in line or "…" in line for line in lines)


def test_tables_on_narrow_terminals_fold_and_lose_nothing(monkeypatch):
    with terminal(monkeypatch, "stdout", columns=40) as shown:
        text.table(["model", "seconds"], [["m" * 60, "1.5"]])
        words = COLOUR.sub("", shown())
    assert words.count("m") - "model".count("m") - "seconds".count("m") == 60
    assert all(len(line) <= 40 for line in words.splitlines())
    assert "…" not in words


def test_a_terminal_changes_progress_only(monkeypatch, capsys):
    command = ["certify", *IRIS, "--samples", "2", "--radius", "0.02", "--time-limit", "60"]
    assert main(command) == 0
    piped = capsys.readouterr()
    assert piped.err == ""
    assert "\x1b" not in piped.out
    with terminal(monkeypatch, "stderr", columns=150) as shown:
        assert main(command) == 0
        progress_words = COLOUR.sub("", shown())
    assert capsys.readouterr().out.splitlines()[:5] == piped.out.splitlines()[:5]
    assert "distances" in progress_words
    assert re.search(r"at most \d+ s left|about \d+ s left", progress_words)


def test_estimates_wait_for_something_to_go_by():
    assert left_by_count([], 5, now=1.0) is None
    assert left_by_count([1.0, 2.0], 5, now=3.0) is None
    assert left_by_count([1.0, 2.0, 3.0], 0, now=3.0) is None
    assert left_by_count([0.0] * 50 + [1.0, 2.0], 2, now=60.0) == 116.0  # a quick beginning promises nothing
    assert left_by_width([(0.0, np.inf), (1.0, 1.0), (2.0, 0.5)], 1e-6, now=2.0) is None
    assert left_by_width([(0.0, 1.0), (1.0, 0.5), (2.0, 0.25)], 0.5, now=2.0) == 0.0  # closed already
    slow, stuck = (left_by_width([(float(k), 0.5**k) for k in range(6)], 1e-3, now=now) for now in (5.0, 50.0))
    assert slow < stuck  # no news makes it longer
