"""Exact Lipschitz constants of margins: branch and bound against one MILP per form, in one process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

import wdaverify as wv
from benchmarks.arithmetic import spread, total_ratio
from benchmarks.results import bullets, seconds
from benchmarks.settings import Benchmark, Section, Settings, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

INSTANCES = Path(__file__).resolve().parents[1] / "instances"
NORMS = ("linf", "l2", "l1")
AGREEMENT = 1e-6

MEASURED = """CPU seconds (user and system, all threads) of `wv.lipschitz` for one margin and norm at a time. Regions are linf
balls about the first test image, cut to [0, 1]^64, or the whole box. `search` is rigorous and its brackets close to a relative
1e-10; `milp` rests on a solver's word, has no l2, and is tried on every third margin, for five times as long as search took (at
least 2 s): where it reaches that it stays a bracket, so that the ratio is only a lower bound. `three norms` is the median over
the margins of the sum over norms. `open` is the largest relative width that was left. `unstable`: ReLUs that linear bounds leave
open."""

PATIENCE, LEAST = 5.0, 2.0
"""The MILP may take so many times what search took, and at least so many seconds."""

EVERY = 3
"""Every how-manieth margin the MILP tries."""

HEADER = (
    "network", "region", "norm", "margins", "unstable", "search: median s", "max", "exact", "open", "three norms",
    "milp: median s", "exact", "milp / search",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A network on a region.

    Parameters
    ----------
    radius
        Of the ball; ``None`` for the whole box.
    """

    network: str
    radius: float | None

    @property
    def name(self) -> str:
        """As the table says it."""
        return f"{self.network} {self.region}"

    @property
    def region(self) -> str:
        """As the table says it."""
        if self.radius is not None:
            return f"radius {self.radius:g}"
        return "[-1, 1]^6" if self.network == "random-6-16-16" else "[0, 1]^64"

    def load(self) -> tuple[wv.Network, wv.Box]:
        """The network and the box."""
        if self.network == "random-6-16-16":
            return random_network((6, 16, 16, 3), seed=0), wv.Box(-1, 1)
        network = wv.load(INSTANCES / "digits" / f"{self.network}.onnx")
        if self.radius is None:
            return network, wv.Box(0, 1)
        x = wv.Dataset.load(INSTANCES / "digits" / "digits-test.npz").x[0]
        return network, wv.Box(np.maximum(x - self.radius, 0.0), np.minimum(x + self.radius, 1.0))


CASES = (
    *(Case("digits-64-32-16", radius) for radius in (0.05, 0.1, 0.2, None)),
    *(Case("digits-64-64-64", radius) for radius in (0.1, 0.2)),
    Case("digits-64-128-128", 0.1),
    Case("random-6-16-16", None),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What one engine found, and what it took."""

    seconds: float
    exact: bool
    lower: float
    upper: float

    @property
    def width(self) -> float:
        """Relative."""
        return (self.upper - self.lower) / max(self.upper, 1e-300)


def random_network(sizes: Sequence[int], *, seed: int) -> wv.Network:
    """He-normal weights, biases uniform in [-1/2, 1/2]."""
    import torch

    generator, layers = np.random.default_rng(seed), []
    for before, after in pairwise(sizes):
        layer = torch.nn.Linear(before, after, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(generator.normal(size=(after, before)) * np.sqrt(2.0 / before)))
            layer.bias.copy_(torch.from_numpy(generator.uniform(-0.5, 0.5, after)))
        layers += [layer, torch.nn.ReLU()]
    return wv.from_torch(torch.nn.Sequential(*layers[:-1]), (sizes[0],))


def run(settings: Settings) -> Section:
    """Measure every wanted case; `samples` is the number of margins."""
    cases = [case for case in CASES if settings.wants(case.name)]
    if not cases:
        raise Unavailable(f"no case contains any of {', '.join(settings.only)}")
    rows, compared, disagreements = [], [], 0
    for case in cases:
        found = measure(case, settings)
        rows += lines(case, found)
        both = [sides for sides in found.values() if "milp" in sides]
        compared += [(sides["search"].seconds, sides["milp"].seconds) for sides in both]
        disagreements += sum(disagrees(sides) for sides in both)
    items = [f"brackets that exclude each other: {disagreements}"]
    text = f"Both engines on {len(compared)} margins and norms: total milp / search {seconds(total_ratio(compared))}."
    return Section(measured=MEASURED, header=HEADER, rows=tuple(rows), summary=bullets(text, items))


def measure(case: Case, settings: Settings) -> dict[tuple[str, str], dict[str, Found]]:
    """Every margin and norm on both sides."""
    network, box = case.load()
    solve(network, "margin:0-1", wv.Box(0, 0), "linf", "search", 1.0)  # no import is counted
    found: dict[tuple[str, str], dict[str, Found]] = {}
    for number, margin in enumerate(margins(network.outputs, settings.samples)):
        for norm in NORMS:
            sides = {"search": solve(network, margin, box, norm, "search", settings.limit)}
            if norm != "l2" and number % EVERY == 0:
                patience = max(PATIENCE * sides["search"].seconds, LEAST)
                sides["milp"] = solve(network, margin, box, norm, "milp", patience)
            found[margin, norm] = sides
            times = ", ".join(f"{name} {side.seconds:.2f} s{'' if side.exact else ' open'}" for name, side in sides.items())
            print(f"{case.name} {margin} {norm}: {times}", flush=True)
    return found


def margins(outputs: int, count: int) -> list[str]:
    """So many of the unordered margins, evenly spread."""
    every = [f"margin:{j}-{k}" for j, k in combinations(range(outputs), 2)]
    step = max(1, len(every) // count)
    return every[::step][:count]


def solve(network: wv.Network, margin: str, box: wv.Box, norm: str, engine: str, limit: float) -> Found:
    """One constant."""
    started = time.process_time()
    value = wv.lipschitz(network, margin, domain=box, norm=norm, engine=engine, time_limit=limit).value
    return Found(time.process_time() - started, value.exact, value.lower, value.upper)


def lines(case: Case, found: dict[tuple[str, str], dict[str, Found]]) -> list[tuple[str, ...]]:
    """The table's lines of one case, by norm."""
    network, box = case.load()
    chosen = sorted({margin for margin, _ in found})
    sums = median(sum(found[margin, norm]["search"].seconds for norm in NORMS) for margin in chosen)
    rows = []
    for norm in NORMS:
        ours = [found[margin, norm]["search"] for margin in chosen]
        _, middle, most = spread([side.seconds for side in ours])
        cells = [case.network, case.region, norm, str(len(chosen)), str(unstable(network, box))]
        cells += [seconds(middle), seconds(most), str(sum(side.exact for side in ours))]
        cells += [f"{max(side.width for side in ours):.1e}", seconds(sums)]
        both = [(sides["search"], sides["milp"]) for margin in chosen if "milp" in (sides := found[margin, norm])]
        if both:
            closed = sum(theirs.exact for _, theirs in both)
            times = [(search.seconds, theirs.seconds) for search, theirs in both]
            cells += [seconds(median(other for _, other in times)), f"{closed} of {len(both)}", seconds(total_ratio(times))]
        else:
            cells += ["-"] * 3
        rows.append(tuple(cells))
    return rows


def disagrees(sides: dict[str, Found]) -> bool:
    """Whether the brackets exclude each other."""
    lower, upper = max(side.lower for side in sides.values()), min(side.upper for side in sides.values())
    return lower > upper * (1.0 + AGREEMENT)


def unstable(network: wv.Network, box: wv.Box) -> int:
    """ReLUs that linear bounds leave open on the box."""
    from wdaverify.bounds.crown import crown_bounds
    from wdaverify.domain import Regions

    bounds = crown_bounds(network, Regions.of_box(box, network.inputs))
    return sum(int(bounds.unstable(network.sources(name)[0]).sum()) for name in network.relu_nodes)


BENCHMARK = Benchmark("Lipschitz constants: branch and bound against one MILP per form", run)
