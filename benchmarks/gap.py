"""How far certificates lie above each other: product of norms and exact constants, on iris with twelve samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import wdaverify as wv
from benchmarks.results import bullets
from benchmarks.settings import Benchmark, Section, Settings, Unavailable
from wdaverify.bounds.operator_norms import label_bounds
from wdaverify.growth.constants import lipschitz_constants
from wdaverify.losses import margins

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "data" / "golden"
CASES = (
    ("margin", "linf", 0.05), ("hinge", "linf", 0.05), ("margin", "linf", 0.2),
    ("margin", "l1", 0.05), ("hinge", "l1", 0.05), ("margin", "l1", 0.2),
)  # fmt: skip

MEASURED = """Worst-case risk of order 1 of the iris network 4-16-16-3 of `tests/data/golden` on its twelve samples, in [0, 1]^4:
`nominal` is the mean loss; (a) adds radius x the product of operator norms, (b) radius x the exact constant over the labels
that occur, (b') radius x the exact constant of the loss itself (`loss:margin:Y` or `loss:hinge:Y`). Proved upper ends."""

HEADER = ("loss", "norm", "radius", "nominal", "(a) product of norms", "(b) exact constant", "(b') of the loss itself")


def run(settings: Settings) -> Section:
    """Compute the picture."""
    if not settings.wants("iris"):
        raise Unavailable(f"no case contains any of {', '.join(settings.only)}")
    network, data = wv.load(FOLDER / "g14_iris.onnx"), wv.Dataset.load(FOLDER / "g14_iris.npz")
    labels = sorted(set(data.y.tolist()))
    values = margins(network.compiled.forward(data.x), data.y)
    nominal = {"margin": float(values.mean()), "hinge": float(np.maximum(0.0, 1.0 + values).mean())}
    rows = []
    for loss, norm, radius in CASES:
        product = max(label_bounds(network, set(labels), norm=wv.Norm(norm)).values())
        names = [f"label:{y}" for y in labels], [f"loss:{loss}:{y}" for y in labels]
        exact, own = (
            max(c.value.upper for c in lipschitz_constants(network, group, domain=wv.Box(0, 1), norms=[norm])) for group in names
        )
        ends = [nominal[loss] + radius * constant for constant in (product, exact, own)]
        rows.append((loss, norm, f"{radius:g}", f"{nominal[loss]:.4f}", *(f"{end:.6f}" for end in ends)))
        print(*rows[-1], flush=True)
    text = "The exact worst-case risk of these losses, column (c), is not computed by this version."
    return Section(measured=MEASURED, header=HEADER, rows=tuple(rows), summary=bullets(text, []))


BENCHMARK = Benchmark("Certificates from Lipschitz constants on iris", run)
