"""The same published properties by wdaverify and by Marabou, each instance and side in a fresh process on one thread."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wdaverify as wv
from benchmarks.arithmetic import geometric_mean, ratio, spread, total_ratio
from benchmarks.published import Instance, instances, unpacked
from benchmarks.results import bullets, seconds
from benchmarks.settings import Benchmark, Section, Settings, Unavailable
from wdaverify.property.vnnlib import load_property

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.property.property import Disjunct, LinearRow

HERE = Path(__file__).resolve().parent
FAMILIES = {"acasxu": "", "mnist_fc": "256x2"}
"""The families, with the text that the name of an instance must contain."""

DECIDED = ("sat", "unsat")

MEASURED = """CPU seconds (user and system, all threads) of deciding a property, each instance and side in a fresh process with
one thread and the same wall limit. Starting Python, imports, and reading the network and the property count on neither side;
the median of what they take is `setup`. Marabou has its default options, which its manual recommends for one thread, and its
native simplex (the wheel has no Gurobi). A disjunction is one query for each disjunct, and their times add up until one is sat:
first each gets its share of half the limit, then those that are left share the rest. wdaverify is rigorous; Marabou computes in
floating point. `right` and `wrong` are against the published verdicts, `open` is no answer. Ratios are Marabou / wdaverify over
the instances that both decide: the geometric mean of the single ratios, and the ratio of the sums."""

HEADER = (
    "family", "instances",
    "wdaverify: right", "wrong", "open", "sum s", "median", "max", "setup",
    "Marabou: right", "wrong", "open", "sum s", "median", "max", "setup",
    "both decide", "geometric mean", "total",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Side:
    """What one program said of an instance: a verdict or why there is none, and CPU seconds."""

    verdict: str
    solve: float
    setup: float
    version: str = ""

    @property
    def decided(self) -> bool:
        """Whether there is an answer."""
        return self.verdict in DECIDED


@dataclass(frozen=True, slots=True)
class Pair:
    """An instance on both sides."""

    instance: Instance
    ours: Side
    other: Side

    @property
    def both(self) -> bool:
        """Whether both sides have an answer."""
        return self.ours.decided and self.other.decided


def run(settings: Settings) -> Section:
    """Solve every wanted instance on both sides."""
    python = marabou_python(settings)
    chosen = [one for family, text in FAMILIES.items() for one in _family(settings, family) if text in one.name]
    if not chosen:
        instances(settings, *FAMILIES)  # says what is missing
        raise Unavailable("no instance of ACAS Xu or of the MNIST network 256x2 is wanted")
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        for instance in chosen:
            pairs.append(compare(instance, python, settings.limit, Path(folder)))
            sides = {"wdaverify": pairs[-1].ours, "marabou": pairs[-1].other}
            times = ", ".join(f"{name} {side.verdict} in {side.solve:.2f} s" for name, side in sides.items())
            print(f"{instance.name}: {times}", flush=True)
    rows = [row(family, found) for family in FAMILIES if (found := [pair for pair in pairs if pair.instance.family == family])]
    versions = {"maraboupy": next((pair.other.version for pair in pairs if pair.other.version), "of unknown version")}
    return Section(measured=MEASURED, header=HEADER, rows=tuple(rows), summary=summary(pairs), versions=versions)


def marabou_python(settings: Settings) -> Path:
    """The interpreter that runs Marabou.

    Raises
    ------
    Unavailable
        If it cannot import maraboupy and what that needs to read ONNX files.
    """
    advice = "pip install maraboupy onnx onnxruntime, in an environment of its own if need be, and name it with --marabou-python"
    if settings.marabou_python is None:
        if not all(importlib.util.find_spec(name) for name in ("maraboupy", "onnx", "onnxruntime")):
            raise Unavailable(f"maraboupy is not importable here: {advice}")
        return Path(sys.executable)
    try:
        command = [str(settings.marabou_python), "-W", "ignore", "-c", "import maraboupy.MarabouNetworkONNX"]
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"--marabou-python cannot import maraboupy with its ONNX reader ({error}): {advice}") from None
    return settings.marabou_python


def compare(instance: Instance, python: Path, limit: float, folder: Path) -> Pair:
    """Solve one instance on both sides, one after the other."""
    queries = folder / "queries.json"
    queries.write_text(json.dumps(disjuncts(instance)), encoding="utf-8")
    model = unpacked(instance.model, folder)
    ours = _side([sys.executable, HERE / "side_wdaverify.py", instance.model, instance.question], limit, folder)
    other = _side([python, HERE / "side_marabou.py", model, queries], limit, folder)
    return Pair(instance, ours, other)


def disjuncts(instance: Instance) -> list[dict[str, Any]]:
    """The property as boxes and rows in floats, the nearest to the decimals of the file; strict rows become non-strict."""
    network = wv.load(instance.model)
    loaded = load_property(instance.question, inputs=network.inputs, outputs=network.outputs)
    return [_described(disjunct) for disjunct in loaded.disjuncts if not disjunct.empty]


def row(family: str, pairs: Sequence[Pair]) -> tuple[str, ...]:
    """The line of a family."""
    cells = [family, str(len(pairs))]
    for sides in ([pair.ours for pair in pairs], [pair.other for pair in pairs]):
        right = sum(side.verdict == pair.instance.expected for side, pair in zip(sides, pairs, strict=True))
        decided = sum(side.decided for side in sides)
        cells += [str(right), str(decided - right), str(len(sides) - decided)]
        cells += [seconds(value) for value in spread([side.solve for side in sides])]
        cells.append(seconds(spread([side.setup for side in sides])[1]))
    both = [(pair.ours.solve, pair.other.solve) for pair in pairs if pair.both]
    means = (geometric_mean(ratio(other, ours) for ours, other in both), total_ratio(both))
    return (*cells, str(len(both)), *(seconds(value) if both else "-" for value in means))


def summary(pairs: Sequence[Pair]) -> str:
    """The line below the table, and what deserves a second look."""
    both = [(pair.ours.solve, pair.other.solve) for pair in pairs if pair.both]
    items = [
        f"only wdaverify decides: {sum(pair.ours.decided and not pair.other.decided for pair in pairs)}; "
        f"only Marabou: {sum(pair.other.decided and not pair.ours.decided for pair in pairs)}; "
        f"neither: {sum(not pair.other.decided and not pair.ours.decided for pair in pairs)}",
        *(f"DISAGREE: {p.instance.name}: {p.ours.verdict}, Marabou {p.other.verdict}" for p in pairs if _disagree(p)),
        *(f"no answer but an error: {p.instance.name}" for p in pairs if "error" in (p.ours.verdict, p.other.verdict)),
    ]
    if not both:
        return bullets(f"No instance of {len(pairs)} was decided by both.", items)
    mean = seconds(geometric_mean(ratio(other, ours) for ours, other in both))
    quicker = sum(ours <= other for ours, other in both)
    line = (
        f"Both decide {len(both)} of {len(pairs)}: Marabou / wdaverify {mean} in the geometric mean, {seconds(total_ratio(both))}"
    )
    return bullets(f"{line} in total; wdaverify is the quicker on {quicker}.", items)


def _disagree(pair: Pair) -> bool:
    return pair.both and pair.ours.verdict != pair.other.verdict


def _family(settings: Settings, family: str) -> list[Instance]:
    try:
        return instances(settings, family)
    except Unavailable:
        return []


def _described(disjunct: Disjunct) -> dict[str, Any]:
    def plain(row: LinearRow) -> list[Any]:
        return [[[k, float(c)] for k, c in row.coefficients], float(row.offset)]

    return {
        "lower": [float(v) for v in disjunct.lower],
        "upper": [float(v) for v in disjunct.upper],
        "input_rows": [plain(row) for row in disjunct.input_rows if row.coefficients],
        "output_rows": [plain(row) for row in disjunct.output_rows if row.coefficients],
    }


def _side(command: Sequence[Path | str], limit: float, folder: Path) -> Side:
    """Run one side; what overruns the limit by far is killed, and what fails is an error."""
    answer = folder / "answer.json"
    answer.unlink(missing_ok=True)
    words = [str(word) for word in (*command, limit, answer)]
    try:
        done = subprocess.run(words, capture_output=True, timeout=2 * limit + 120, check=False)
    except subprocess.TimeoutExpired:
        return Side("killed", limit, 0.0)
    if done.returncode or not answer.exists():
        print(done.stderr.decode(errors="replace")[-2000:], file=sys.stderr, flush=True)
        return Side("error", 0.0, 0.0)
    return Side(**json.loads(answer.read_text(encoding="utf-8")))


BENCHMARK = Benchmark("Published properties against Marabou", run)
