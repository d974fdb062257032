"""Branch and bound against one MILP per class: CPU seconds for the same distances, both sides in one run.

    python benchmarks/distances.py [--samples N] [--limit SECONDS] [--only NAME ...]

Each sample is attacked once per side and closed by both engines, one after the other, in this process on one thread; the
attack's time is in neither column. Prints a Markdown table for RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import wdaverify as wv
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.attack.nearest import nearest_points
from wdaverify.program.backend import get_backend
from wdaverify.risk.closing import Closer, SampleSearch
from wdaverify.risk.engines import ENGINES

INSTANCES = Path(__file__).resolve().parents[1] / "instances"
DIGITS = INSTANCES / "digits" / "digits-test.npz"
NETWORKS = {
    "iris-16-16": (INSTANCES / "iris/iris-16-16.onnx", INSTANCES / "iris/iris-test.npz"),
    "moons-16-16": (INSTANCES / "planar/moons-16-16.onnx", INSTANCES / "planar/moons-test.npz"),
    **{
        name: (INSTANCES / f"digits/{name}.onnx", DIGITS)
        for name in ("digits-64-32-16", "digits-64-64-64", "digits-conv", "digits-64-128-128", "digits-64-50x6")
    },
}


@dataclass(frozen=True)
class Side:
    """What one engine did on one network."""

    seconds: list[float]
    exact: int

    def __str__(self) -> str:
        return f"{sum(self.seconds):.1f} | {np.median(self.seconds):.2f} | {max(self.seconds):.1f} | {self.exact}"


def measure(name: str, norm: Norm, engine: str, samples: int, limit: float) -> Side:
    """Close the first samples with one engine; `limit` is wall seconds a sample."""
    path, file = NETWORKS[name]
    network, data, backend = wv.load(path), wv.Dataset.load(file).first(samples), get_backend("highs")
    box = wv.Box(0, 1).sized(network.inputs)
    closer = Closer(network=network, box=box, norm=norm, backend=backend, cell_backend=backend, engine=ENGINES[engine])
    attacked = nearest_points(network, data.x, data.y, norm=norm, domain=box)
    seconds, exact = [], 0
    for i in range(samples):
        order = [int(j) for j in np.argsort(attacked.distances[i]) if np.isfinite(attacked.distances[i, j])]
        if order and attacked.distances[i, order[0]] == 0.0:
            continue
        search = SampleSearch(center=data.x[i], label=int(data.y[i]), starts={j: attacked.points[i, j] for j in order})
        started, deadline = time.process_time(), Deadline.after(limit)
        closer.warm_up(search, deadline)
        closer.close(search, deadline)
        seconds.append(time.process_time() - started)
        exact += search.bracket(closer.targets(search.label), 1e-6).exact
    return Side(seconds, exact)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--only", nargs="*", default=list(NETWORKS))
    options = parser.parse_args()
    print(
        "| network | norm | samples | search: sum s | median | max | exact | milp: sum s | median | max | exact | milp / search |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in options.only:
        for norm in (Norm.LINF, Norm.L1):
            sides = [measure(name, norm, engine, options.samples, options.limit) for engine in ("search", "milp")]
            ratio = sum(sides[1].seconds) / sum(sides[0].seconds)
            print(f"| {name} | {norm} | {len(sides[0].seconds)} | {sides[0]} | {sides[1]} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
