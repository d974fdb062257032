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

GAP = 1e-7

MEASURED = """Worst-case risk of order 1 of the iris network 4-16-16-3 of `tests/data/golden` on its twelve samples, in [0, 1]^4:
`nominal` is the mean loss; (a) adds radius x the product of operator norms, (b) radius x the exact constant over the labels
that occur, (b') radius x the exact constant of the loss itself (`loss:margin:Y` or `loss:hinge:Y`): proved upper ends. (c) is the
exact worst-case risk, whose bracket is at most `open` wide."""

HEADER = (
    "loss",
    "norm",
    "radius",
    "nominal",
    "(a) product of norms",
    "(b) exact constant",
    "(b') of the loss itself",
    "(c) exact risk",
    "open",
)


def run(settings: Settings) -> Section:
    """Compute the picture."""
    if not settings.wants("iris"):
        raise Unavailable(f"no case contains any of {', '.join(settings.only)}")
    network, data = wv.load(FOLDER / "g14_iris.onnx"), wv.Dataset.load(FOLDER / "g14_iris.npz")
    labels = sorted(set(data.y.tolist()))
    values = margins(network.compiled.forward(data.x), data.y)
    nominal = {"margin": float(values.mean()), "hinge": float(np.maximum(0.0, 1.0 + values).mean())}
    rows, rises = [], []
    for loss, norm, radius in CASES:
        product = max(label_bounds(network, set(labels), norm=wv.Norm(norm)).values())
        names = [f"label:{y}" for y in labels], [f"loss:{loss}:{y}" for y in labels]
        exact, own = (
            max(c.value.upper for c in lipschitz_constants(network, group, domain=wv.Box(0, 1), norms=[norm])) for group in names
        )
        ends = [nominal[loss] + radius * constant for constant in (product, exact, own)]
        ball = wv.WassersteinBall(radius=radius, order=1, norm=wv.Norm(norm))
        risk = wv.certify(network, data, ball, loss=loss, gap=GAP, comparison_time=0.0).risk
        found = [f"{0.5 * (risk.lower + risk.upper):.6f}", f"{risk.upper - risk.lower:.1e}"]
        rises.append([(end - nominal[loss]) / (risk.upper - nominal[loss]) for end in ends])
        rows.append((loss, norm, f"{radius:g}", f"{nominal[loss]:.4f}", *(f"{end:.6f}" for end in ends), *found))
        print(*rows[-1], flush=True)
    product, exact, _ = ([row[k] for row in rises] for k in range(3))
    text = (
        f"The rise of the loss is overestimated {min(product):.1f} to {max(product):.1f} times by (a),"
        f" {min(exact):.2f} to {max(exact):.2f} times by (b)."
    )
    return Section(measured=MEASURED, header=HEADER, rows=tuple(rows), summary=bullets(text, []))


BENCHMARK = Benchmark("Certificates from Lipschitz constants on iris", run)
