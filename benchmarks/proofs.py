"""What proofs cost: whether every exact answer is proved, the time of search, proof and judge, and the size of a leaf."""

from __future__ import annotations

import gzip
import json
import tempfile
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import proof_questions as questions
from benchmarks.arithmetic import CLOCK
from benchmarks.results import bullets, seconds
from benchmarks.settings import Benchmark, Section, Settings, Unavailable
from wdaverify.check import check

if TYPE_CHECKING:
    from collections.abc import Iterator

MEASURED = """CPU seconds of this process. `solve`: the search; `produce`: finding and writing its proof, without the
judge's reading of it; `check`: `wdaverify check` on the finished certificate. `exact`: answers that the search calls exact
(for properties: decided); `proved`: those of them with a proof that the judge accepts. `B/leaf`: compressed bytes of all
records for each leaf, over all proofs of the family, and the largest of one question with at least 8 leaves. A question is one
call of the library. The cross-entropy and constants of losses other than the margin are left out."""

HEADER = (
    "family", "questions", "exact", "proved", "solve s", "produce s", "check s", "check/solve", "leaves", "B/leaf", "largest",
)  # fmt: skip


FEW = 8
"""With fewer leaves the bounds of the root dominate the bytes per leaf."""

LARGE = 500
"""Compressed bytes per leaf that should not be exceeded."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One question."""

    family: str
    name: str
    exact: int
    proved: int
    solve: float
    produce: float
    check: float
    leaves: int
    size: int

    @property
    def per_leaf(self) -> float:
        """Compressed bytes per leaf; 0 without leaves."""
        return self.size / self.leaves if self.leaves else 0.0

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.proved} of {self.exact} proved; solve {self.solve:.2f}, produce {self.produce:.2f},"
            f" check {self.check:.2f} s; {self.leaves} leaves of {self.per_leaf:.0f} bytes"
        )


def run(settings: Settings) -> Section:
    """Prove and judge everything."""
    asked = chain(questions.golden(), questions.anchors(), questions.trained(settings.limit), questions.published(settings))
    found = []
    for question in asked:
        if settings.wants(f"{question.family} {question.name}"):
            found.append(measure(question))
            print(f"{question.family}: {found[-1]}", flush=True)
    if not found:
        raise Unavailable(f"no question contains any of {', '.join(settings.only)}")
    families = dict.fromkeys(one.family for one in found)
    rows = tuple(_row(name, [one for one in found if one.family == name]) for name in families)
    return Section(measured=MEASURED, header=HEADER, rows=rows, summary=_summary(found))


def measure(question: questions.Question) -> Measured:
    """Search, prove and judge one question.

    Raises
    ------
    RuntimeError
        If the judge refuses a certificate that was written: that is an error of this program.
    """
    started = time.process_time()
    solved = question.solve()
    solve = time.process_time() - started
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        started = time.process_time()
        solved.save(path)
        produce = time.process_time() - started
        report = json.loads(path.read_text(encoding="utf-8"))
        judged, leaves, size = 0.0, 0, 0
        if "proof" in report:
            started = time.process_time()
            verdict = check(path, **solved.files)  # type: ignore[arg-type]
            judged = time.process_time() - started
            if not verdict.accepted:
                raise RuntimeError(f"{question.name}: {verdict.message}")
            leaves, size = stream_size(report["proof"], path.parent)
        exact = [evidence for status, evidence in answers(report) if status]
    proved = sum(evidence == "proved" for evidence in exact)
    return Measured(question.family, question.name, len(exact), proved, solve, max(0.0, produce - judged), judged, leaves, size)


def answers(report: dict[str, Any]) -> Iterator[tuple[bool, str | None]]:
    """Whether each answer of a report is exact, and its evidence."""
    if "verdict" in report:
        yield report["verdict"] in ("sat", "unsat"), report["evidence"]
    for entries, field in (("curve", "worst_case_risk"), ("distances", "distance"), ("constants", "value")):
        for entry in report.get(entries, []):
            yield entry[field]["status"] == "exact", entry[field]["evidence"]


def stream_size(proof: dict[str, Any], folder: Path) -> tuple[int, int]:
    """Leaves of all streams, and their compressed bytes; those inside the report are compressed together."""
    leaves, size, inline = 0, 0, bytearray()
    for stream in proof["streams"]:
        if "file" in stream:
            content = (folder / stream["file"]).read_bytes()
            size += len(content)
            footer = json.loads(gzip.decompress(content).splitlines()[-1])
        else:
            inline += "\n".join(json.dumps(record, separators=(",", ":")) for record in stream["records"]).encode()
            footer = stream["records"][-1]
        leaves += footer["leaves"]
    return leaves, size + (len(gzip.compress(bytes(inline))) if inline else 0)


def _row(name: str, found: list[Measured]) -> tuple[str, ...]:
    """The line of a family."""
    solve, produce, judged = (sum(getattr(one, part) for one in found) for part in ("solve", "produce", "check"))
    leaves, largest = sum(one.leaves for one in found), max((one.per_leaf for one in found if one.leaves >= FEW), default=0.0)
    size = sum(one.size for one in found) / leaves if leaves else 0.0
    exact, proved = sum(one.exact for one in found), sum(one.proved for one in found)
    counts = (str(len(found)), str(exact), str(proved), seconds(solve), seconds(produce), seconds(judged))
    return (name, *counts, f"{judged / max(solve, CLOCK):.2f}", str(leaves), f"{size:.0f}", f"{largest:.0f}")


def _summary(found: list[Measured]) -> str:
    """What is not proved, what is judged slowly, and what is large."""
    kinds = {
        "not proved": [one for one in found if one.proved < one.exact],
        "judged in more than half of the search's time, or of 0.2 s where that is more": [
            one for one in found if one.check > 0.5 * max(one.solve, 0.2)
        ],
        "above 500 bytes a leaf": [one for one in found if one.leaves >= FEW and one.per_leaf > LARGE],
    }
    exact, proved = sum(one.exact for one in found), sum(one.proved for one in found)
    items = [f"{kind}: {one}" for kind, part in kinds.items() for one in part]
    return bullets(f"{proved} of {exact} exact answers are proved. Exceptions{':' if items else ': none.'}", items)


BENCHMARK = Benchmark("Proofs", run)
