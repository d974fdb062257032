"""The published instances: networks and properties in a folder of data, with the verdicts that are known."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.settings import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.settings import Settings

STRIDED = "acasxu"
"""The family that is large enough to be thinned out."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A question of the published data; its files may be packed.

    Parameters
    ----------
    timeout
        Wall seconds that its authors give.
    expected
        ``sat`` or ``unsat``.
    """

    family: str
    model: Path
    question: Path
    timeout: float
    expected: str

    @property
    def name(self) -> str:
        """Family, network and property."""
        model, question = (path.name.removesuffix(".gz") for path in (self.model, self.question))
        return f"{self.family} {model.removesuffix('.onnx')} {question.removesuffix('.vnnlib')}"


def instances(settings: Settings, *families: str) -> list[Instance]:
    """The instances of some families that the settings want, in the order of ``verdicts.csv``.

    Raises
    ------
    Unavailable
        If there are none.
    """
    if settings.data is None or not (settings.data / "verdicts.csv").is_file():
        where = "no folder given" if settings.data is None else "no verdicts.csv there"
        raise Unavailable(f"the published data are absent ({where}); give --data or set WDAVERIFY_BENCHMARK_DATA")
    with (settings.data / "verdicts.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["family"] in families]
    found: list[Instance] = []
    for family in families:
        wanted = [one for row in rows if row["family"] == family and settings.wants((one := _instance(settings.data, row)).name)]
        found += wanted[:: settings.stride] if family == STRIDED else wanted
    if not found:
        raise Unavailable(f"no instance of {', '.join(families)} is wanted and present in the published data")
    return found


def unpacked(path: Path, folder: Path) -> Path:
    """The file itself, or a copy in `folder` without ``.gz`` for programs that read no packed files."""
    if path.suffix != ".gz":
        return path
    plain = folder / path.parent.parent.name / path.name.removesuffix(".gz")
    if not plain.exists():
        plain.parent.mkdir(exist_ok=True)
        plain.write_bytes(gzip.decompress(path.read_bytes()))
    return plain


def _instance(data: Path, row: dict[str, str]) -> Instance:
    model, question = (_present(data / row["family"] / row[column]) for column in ("onnx", "vnnlib"))
    return Instance(row["family"], model, question, float(row["timeout_s"]), row["verdict"].removesuffix("_disputed"))


def _present(path: Path) -> Path:
    """The path, or its packed form where only that is there."""
    packed = path.with_name(path.name + ".gz")
    return path if path.exists() or not packed.exists() else packed
