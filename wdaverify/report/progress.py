"""Progress on standard error: brackets that close, and how long it may still take; nothing if quiet or if that is no terminal."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from wdaverify._deadline import Deadline
from wdaverify.report.numbers import shown_down, shown_up
from wdaverify.report.pace import in_words, left_by_count, left_by_width
from wdaverify.report.text import say
from wdaverify.report.transport_curve import transport_curve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Task

    from wdaverify.dataset import Dataset
    from wdaverify.growth.record import LipschitzConstant
    from wdaverify.risk.adversarial import AdversarialDistance
    from wdaverify.risk.exploration import Progress
    from wdaverify.transport import WassersteinBall


class _Left(ProgressColumn):
    """The time left, estimated anew whenever it is shown."""

    max_refresh = 0.5

    def __init__(self, estimate: Callable[[float], float | None], deadline: Deadline) -> None:
        super().__init__()
        self._estimate, self._deadline = estimate, deadline

    def render(self, task: Task) -> Text:
        """The column's words."""
        if task.finished:
            return Text("")
        return Text(in_words(self._estimate(time.monotonic()), self._deadline.remaining))


def _wanted(quiet: bool) -> bool:
    """Whether somebody watches."""
    return not quiet and sys.stderr is not None and sys.stderr.isatty()


def _shown(*columns: ProgressColumn) -> RichProgress:
    """Columns on standard error that disappear at the end; colours follow the terminal and ``NO_COLOR``."""
    return RichProgress(*columns, console=Console(stderr=True), transient=True)


@contextlib.contextmanager
def stage(name: str, *, quiet: bool) -> Iterator[None]:
    """What is being done, where nothing is known about how far it is, and for how long already."""
    if not _wanted(quiet):
        yield
        return
    with _shown(TextColumn("{task.description}"), TimeElapsedColumn()) as bar:
        bar.add_task(name, total=None)
        yield


@contextlib.contextmanager
def _count(name: str, total: int, deadline: Deadline, after: str = "") -> Iterator[Callable[[int, str], None]]:
    """A bar that counts; what it yields takes how many have ended and what is known by now. `after` follows the last one."""
    ends: list[float] = []
    left = _Left(lambda now: left_by_count(ends, total - len(ends), now), deadline)
    with _shown(
        TextColumn(name), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), left, TextColumn("{task.description}")
    ) as bar:
        task = bar.add_task("", total=total)

        def advance(done: int, known: str) -> None:
            ends.extend([time.monotonic()] * (done - len(ends)))
            bar.update(task, completed=done, description=known if done < total or not after else after)

        yield advance


@contextlib.contextmanager
def distance_bar(
    data: Dataset, *, quiet: bool, deadline: Deadline, ball: WassersteinBall | None = None
) -> Iterator[Callable[[AdversarialDistance], None]]:
    """A bar that counts finished samples; with a ball, beside the bracket of its zero-one risk that follows from them."""
    if not _wanted(quiet):
        yield lambda _: None
        return
    lower, upper = np.zeros(data.count), np.full(data.count, math.inf)
    weights = [float(w) for w in data.fractions]
    finished = 0
    after = "" if ball is None else "other certificates, for comparison"
    with _count("distances", data.count, deadline, after) as advance:

        def record(found: AdversarialDistance) -> None:
            nonlocal finished
            finished += 1
            lower[found.sample], upper[found.sample] = found.distance.lower, found.distance.upper
            known = ""
            if ball is not None:
                at = np.array([ball.radius])
                ends = [float(transport_curve(d.tolist(), weights, at, ball.order)[0]) for d in (upper, lower)]
                known = f"risk at {ball.radius:g}: [{shown_down(ends[0], 4)}, {shown_up(ends[1], 4)}]"
            advance(finished, known)

        yield record


@contextlib.contextmanager
def bracket_line(*, quiet: bool, gap: float, deadline: Deadline) -> Iterator[Callable[[Progress], None]]:
    """A line that shows a bracket closing, and when it may be closed at this pace."""
    if not _wanted(quiet):
        yield lambda _: None
        return
    widths: list[tuple[float, float]] = []
    state: dict[str, Any] = {"radius": None, "goal": gap}
    left = _Left(lambda now: left_by_width(widths, state["goal"], now), deadline)
    with _shown(TextColumn("{task.description}"), TimeElapsedColumn(), left) as bar:
        task = bar.add_task("worst-case risk", total=None)

        def record(now: Progress) -> None:
            if now.radius != state["radius"]:
                widths.clear()
            width = now.upper - now.lower
            state.update(radius=now.radius, goal=gap * max(1.0, abs(now.upper)) if math.isfinite(now.upper) else gap)
            widths.append((time.monotonic(), width))
            words = f"radius {now.radius:g}: [{now.lower:.9g}, {now.upper:.9g}], width {width:.2g}"
            bar.update(task, description=words)

        yield record


@contextlib.contextmanager
def constant_bar(total: int, *, quiet: bool, deadline: Deadline) -> Iterator[Callable[[LipschitzConstant], None]]:
    """A bar that counts finished constants and shows the last."""
    if not _wanted(quiet):
        yield lambda _: None
        return
    finished = 0
    with _count("constants", total, deadline) as advance:

        def record(found: LipschitzConstant) -> None:
            nonlocal finished
            finished += 1
            advance(finished, f"{found.functional}: {found.value}")

        yield record


@contextlib.contextmanager
def instance_bar(total: int, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A bar that counts finished instances and names the last; lines where standard error is no terminal."""
    if quiet or sys.stderr is None:
        yield lambda _: None
        return
    if not sys.stderr.isatty():
        yield lambda finished: say(finished, sys.stderr)
        return
    done = 0
    with _count("instances", total, Deadline()) as advance:

        def record(finished: str) -> None:
            nonlocal done
            done += 1
            advance(done, finished)

        yield record


@contextlib.contextmanager
def attack_bar(total: int, *, quiet: bool, deadline: Deadline) -> Iterator[Callable[[int, int, float], None]]:
    """A bar that counts attacked samples, with the running accuracy."""
    if not _wanted(quiet):
        yield lambda *_: None
        return
    with _count("attack", total, deadline) as advance:
        yield lambda done, _, left: advance(done, f"accuracy so far {left:.3f}")
