"""What a benchmark is given and what it hands back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Unavailable(Exception):  # noqa: N818 - not an error: a benchmark that cannot run here is skipped
    """A benchmark lacks something here; the message is one line that says what, and how to provide it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of a run.

    Parameters
    ----------
    data
        The folder of the published benchmark data, if there is one.
    samples
        Samples of each network, where a benchmark has samples.
    limit
        Wall seconds for each sample or instance and side.
    only
        Cases whose name contains one of these texts; all if there are none.
    stride
        Every how-manieth of the ACAS Xu instances is taken.
    marabou_python
        A Python interpreter that can import maraboupy; by default this one.
    device
        Where throughput is measured: ``auto`` (a GPU if there is one), ``cpu`` or ``cuda``.
    """

    data: Path | None = None
    samples: int = 10
    limit: float = 60.0
    only: tuple[str, ...] = ()
    stride: int = 1
    marabou_python: Path | None = None
    device: str = "auto"

    def wants(self, name: str) -> bool:
        """Whether a case of this name is to be run.

        >>> Settings(only=("iris", "l1")).wants("moons-16-16 l1"), Settings(only=("iris",)).wants("moons-16-16 l1")
        (True, False)
        """
        return not self.only or any(text in name for text in self.only)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What a benchmark found.

    Parameters
    ----------
    measured
        One paragraph on what the numbers mean.
    header, rows
        The table.
    summary
        The line below it, which may go on in a list.
    versions
        Programs beside those that every section names.
    """

    measured: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    summary: str
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: the heading of its section, and the function that measures.

    `run` raises `Unavailable` where it cannot run.
    """

    title: str
    run: Callable[[Settings], Section]
