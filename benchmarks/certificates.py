"""The exact worst-case risk against certificates from Lipschitz constants, on every trained instance."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import wdaverify as wv
from benchmarks.arithmetic import geometric_mean
from benchmarks.results import bullets
from benchmarks.settings import Benchmark, Section, Settings, Unavailable
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.margin_constants import EXACT, PRODUCT_OF_NORMS, UNFINISHED

INSTANCES = Path(__file__).resolve().parents[1] / "instances"
GAP = 1e-4

MEASURED = """Worst-case risk of order 1 on the first N test samples, domain [0, 1]^n, gap 1e-4. `nominal` is the mean loss,
`exact` the bracket of the worst case. `paper`: nominal + radius x the exact Lipschitz constant over the labels that occur
(arXiv:2510.10000), or its proved upper end where it was not closed in the time limit (marked *); `product`: the same with
products of operator norms. `x` is how many times the certificate's rise of the loss exceeds the exact rise (its upper end)."""

HEADER = ("network", "loss", "norm", "N", "radius", "nominal", "exact", "paper", "x", "product", "x")


@dataclass(frozen=True, slots=True)
class Case:
    """A network of `instances/`, its data, and what is asked."""

    model: str
    data: str
    samples: int
    radii: tuple[float, ...]
    norm: str


CASES = tuple(
    Case(model, data, samples, radii, norm)
    for model, data, samples, every in (
        ("planar/moons-16-16", "planar/moons-test", 50, {"linf": (0.05,), "l2": (0.05,), "l1": (0.05,)}),
        ("iris/iris-16-16", "iris/iris-test", 45, {"linf": (0.05,), "l2": (0.05,), "l1": (0.05,)}),
        ("digits/digits-64-32-16", "digits/digits-test", 20, {"linf": (0.01, 0.05), "l1": (0.2, 0.5)}),
        ("digits/digits-64-64-64", "digits/digits-test", 20, {"linf": (0.02,), "l1": (0.2, 0.5)}),
        ("digits/digits-64-128-128", "digits/digits-test", 10, {"linf": (0.01,), "l1": (0.2,)}),
        ("digits/digits-64-50x6", "digits/digits-test", 10, {"linf": (0.01,), "l1": (0.2,)}),
        ("digits/digits-64-64-64-adversarial", "digits/digits-test", 10, {"linf": (0.02,), "l1": (0.5,)}),
        ("digits/digits-conv", "digits/digits-test", 10, {"linf": (0.01,), "l1": (0.2,)}),
    )
    for norm, radii in every.items()
)


def run(settings: Settings) -> Section:
    """Certify all cases, both losses."""
    rows = []
    for case in CASES:
        for loss in ("margin", "hinge"):
            if settings.wants(f"{case.model} {loss} {case.norm}"):
                rows.extend(_rows(case, loss, settings.limit))
    if not rows:
        raise Unavailable(f"no case contains any of {', '.join(settings.only)}")
    paper, product = ([float(row[column]) for row in rows if row[column] != "-"] for column in (8, 10))
    columns = (("paper", paper), ("product", product))
    parts = [f"{name}: {min(x):.2f} to {max(x):.2f} times, mean {geometric_mean(x):.2f} (geometric)" for name, x in columns if x]
    summary = bullets("By how much the rise is overestimated:", parts)
    return Section(measured=MEASURED, header=HEADER, rows=tuple(rows), summary=summary)


def _rows(case: Case, loss: str, limit: float) -> list[tuple[str, ...]]:
    network = wv.load(INSTANCES / f"{case.model}.onnx")
    data = wv.Dataset.load(INSTANCES / f"{case.data}.npz").first(case.samples)
    ball = wv.WassersteinBall(radius=case.radii[-1], order=1, norm=wv.Norm(case.norm))
    options = dataclasses.replace(DistanceOptions(), time_limit=2.0 * limit)
    found = wv.certify(network, data, ball, loss=loss, radii=case.radii, gap=GAP, options=options, comparison_time=limit)
    rows = []
    for k, point in enumerate(found.curve):
        row = [case.model.split("/")[1], loss, case.norm, str(case.samples), f"{point.radius:g}", f"{found.nominal_risk:.4f}",
               f"[{point.risk.lower:.5f}, {point.risk.upper:.5f}]"]  # fmt: skip
        rise = point.risk.upper - found.nominal_risk
        for names in ((EXACT, UNFINISHED), (PRODUCT_OF_NORMS,)):
            bound = next((b for b in found.bounds if b.name in names and b.constants), None)
            if bound is None:
                row += ["-", "-"]
                continue
            end = bound.worst_case_risk[k]
            row += [f"{end:.4f}" + ("*" if bound.name == UNFINISHED else ""), f"{(end - found.nominal_risk) / rise:.2f}"]
        rows.append(tuple(row))
        print(*row, sep=" | ", flush=True)
    return rows


BENCHMARK = Benchmark("Exact risks against certificates", run)
