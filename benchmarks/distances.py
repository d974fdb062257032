"""Minimum distances: branch and bound against one MILP per class, sample by sample in one process."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import wdaverify as wv
from benchmarks.arithmetic import much_slower, spread, total_ratio
from benchmarks.results import bullets, seconds
from benchmarks.settings import Benchmark, Section, Settings, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

INSTANCES = Path(__file__).resolve().parents[1] / "instances"
DIGITS = "digits/digits-test.npz"
NETWORKS = {
    "iris-16-16": ("iris/iris-16-16.onnx", "iris/iris-test.npz"),
    "moons-16-16": ("planar/moons-16-16.onnx", "planar/moons-test.npz"),
    "digits-64-32-16": ("digits/digits-64-32-16.onnx", DIGITS),
    "digits-64-64-64": ("digits/digits-64-64-64.onnx", DIGITS),
    "digits-64-128-128": ("digits/digits-64-128-128.onnx", DIGITS),
    "digits-64-50x6": ("digits/digits-64-50x6.onnx", DIGITS),
    "digits-conv": ("digits/digits-conv.onnx", DIGITS),
}
ENGINES = {"linf": ("search", "milp"), "l1": ("search", "milp"), "l2": ("search",)}
"""The sides of each norm; for l2 both engines solve the same program."""

HARD = 40
"""Unstable neurons from which a sample counts as hard."""

AGREEMENT = 1e-6
"""Relative gap by which the ends of two brackets may miss each other: the feasibility that is asked of a MILP."""

MEASURED = f"""CPU seconds (user and system, all threads) of `wv.distance` for one sample at a time; samples that are errors
already are left out. The attack is the same on both sides and in both times. Every sample and side has the same wall limit; a
side that reaches it stays a bracket, and its time counts as it is, so that a ratio is then only a bound. `exact` counts
brackets at most 1e-6 wide; `search` is rigorous, `milp` rests on a solver's word. `unstable` is the median number of ReLUs
whose phase backward linear bounds leave open on the ball of the final upper end; `hard` samples have at least {HARD}.
`2x slower` counts samples on which search takes at least twice as long, where both take more than a second."""

HEADER = (
    "network", "norm", "samples", "unstable", "search: sum s", "median", "max", "exact", "milp: sum s", "median", "max", "exact",
    "milp / search", "hard samples", "milp / search, hard", "2x slower",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Side:
    """What one engine found about a sample, and what it took."""

    seconds: float
    exact: bool
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample on all sides."""

    unstable: int
    sides: dict[str, Side]

    @property
    def pair(self) -> tuple[float, float]:
        """Seconds of search and of the MILPs."""
        return self.sides["search"].seconds, self.sides["milp"].seconds

    @property
    def disagrees(self) -> bool:
        """Whether the brackets exclude each other: some side is wrong."""
        lower, upper = max(side.lower for side in self.sides.values()), min(side.upper for side in self.sides.values())
        return lower > upper + AGREEMENT * max(1.0, abs(upper))


def run(settings: Settings) -> Section:
    """Measure every wanted network and norm."""
    cases = [(name, norm) for name in NETWORKS for norm in ENGINES if settings.wants(f"{name} {norm}")]
    if not cases:
        raise Unavailable(f"no case contains any of {', '.join(settings.only)}")
    rows, compared = [], []
    for name, norm in cases:
        samples = measure(name, norm, settings)
        if not samples:
            continue
        rows.append(row(name, norm, samples))
        compared += [sample for sample in samples if "milp" in sample.sides]
    return Section(measured=MEASURED, header=HEADER, rows=tuple(rows), summary=summary(compared))


def measure(name: str, norm: str, settings: Settings) -> list[Sample]:
    """Solve the first samples of a network on every side."""
    model, file = NETWORKS[name]
    network, data = wv.load(INSTANCES / model), wv.Dataset.load(INSTANCES / file).first(settings.samples)
    _warm_up(norm)
    samples = []
    for i, (x, label) in enumerate(zip(data.x, data.y, strict=True)):
        sides = {engine: _solved(network, x, int(label), norm, engine, settings.limit) for engine in ENGINES[norm]}
        if sides["search"].upper == 0.0:
            continue
        samples.append(Sample(_unstable(network, x, norm, min(side.upper for side in sides.values())), sides))
        times = ", ".join(f"{engine} {side.seconds:.2f} s{'' if side.exact else ' open'}" for engine, side in sides.items())
        print(f"{name} {norm} {i}: {samples[-1].unstable} unstable; {times}", flush=True)
    return samples


def row(name: str, norm: str, samples: Sequence[Sample]) -> tuple[str, ...]:
    """The line of a network and norm."""
    cells = [name, norm, str(len(samples)), f"{median(sample.unstable for sample in samples):.0f}"]
    for engine in ("search", "milp"):
        sides = [sample.sides[engine] for sample in samples if engine in sample.sides]
        times = [seconds(value) for value in spread([side.seconds for side in sides])]
        cells += [*times, str(sum(side.exact for side in sides))] if sides else ["-"] * 4
    hard = [sample for sample in samples if sample.unstable >= HARD]
    if "milp" in samples[0].sides:
        hard_ratio = seconds(total_ratio([sample.pair for sample in hard])) if hard else "-"
        pairs = [sample.pair for sample in samples]
        return (*cells, seconds(total_ratio(pairs)), str(len(hard)), hard_ratio, str(much_slower(pairs)))
    return (*cells, "-", str(len(hard)), "-", "-")


def summary(samples: Sequence[Sample]) -> str:
    """The line below the table, over all samples that both engines tried."""
    if not samples:
        return "No sample was tried by both engines."
    pairs, hard = [sample.pair for sample in samples], [sample.pair for sample in samples if sample.unstable >= HARD]
    exact = {engine: sum(sample.sides[engine].exact for sample in samples) for engine in ("search", "milp")}
    hard_text = f"; on the {len(hard)} with at least {HARD} unstable neurons {seconds(total_ratio(hard))}" if hard else ""
    return bullets(
        f"Both engines on {len(samples)} samples: search closed {exact['search']}, milp {exact['milp']}; "
        f"total milp / search {seconds(total_ratio(pairs))}{hard_text}.",
        [
            f"search at least 2x slower, both above 1 s: {much_slower(pairs)} samples",
            f"brackets that exclude each other: {sum(sample.disagrees for sample in samples)} samples",
        ],
    )


def _solved(network: wv.Network, x: NDArray[np.float64], label: int, norm: str, engine: str, limit: float) -> Side:
    options = wv.DistanceOptions(engine=engine, time_limit=limit)
    started = time.process_time()
    found = wv.distance(network, x, label, norm=norm, options=options).distance
    return Side(time.process_time() - started, found.exact, found.lower, found.upper)


def _warm_up(norm: str) -> None:
    """Solve a small sample once on every side, so that no import is counted."""
    model, file = NETWORKS["iris-16-16"]
    network, data = wv.load(INSTANCES / model), wv.Dataset.load(INSTANCES / file).first(1)
    for engine in ENGINES[norm]:
        _solved(network, data.x[0], int(data.y[0]), norm, engine, 60.0)


def _unstable(network: wv.Network, x: NDArray[np.float64], norm: str, radius: float) -> int:
    """ReLUs that linear bounds leave open on the ball about a sample, in the unit box."""
    from wdaverify.bounds.crown import crown_bounds
    from wdaverify.domain import Regions

    box = wv.Box(0, 1)
    reach = radius if math.isfinite(radius) else float(network.inputs)  # the whole box, in every norm
    bounds = crown_bounds(network, Regions.balls(box, x[None], reach, wv.Norm(norm)))
    return sum(int(bounds.unstable(network.sources(name)[0]).sum()) for name in network.relu_nodes)


BENCHMARK = Benchmark("Branch and bound against one MILP per class", run)
