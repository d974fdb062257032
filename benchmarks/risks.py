"""Exact worst-case risks of margin and hinge on the digits networks, beside one MILP per price where that is worth trying."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import wdaverify as wv
from benchmarks.results import bullets, seconds
from benchmarks.settings import Benchmark, Section, Settings, Unavailable
from wdaverify.risk.adversarial import DistanceOptions

INSTANCES = Path(__file__).resolve().parents[1] / "instances"
GAP = 1e-4

MEASURED = """CPU seconds (user and system, all threads) of `wv.certify` in one process, warm starts and audits included,
without the certificates for comparison; gap 1e-4, the first N test images, domain [0, 1]^64, order 1, all radii of a row in one
run. `exact`: radii whose bracket closed; `open`: the largest relative width left. `milp` is the same with `--engine milp` on the
first samples of the row, which rests on a solver's word, and `search` beside it on the same samples; the MILP is stopped after
five times as long as search took (at least 10 s), so that the ratio is a lower bound where it did not close."""

HEADER = (
    "network", "loss", "norm", "N", "radii", "search: s", "exact", "open", "risks at these radii",
    "N for milp", "search: s", "milp: s", "milp exact", "milp / search",
)  # fmt: skip

PATIENCE, LEAST = 5.0, 10.0


@dataclass(frozen=True, slots=True)
class Case:
    """One row.

    Parameters
    ----------
    milp
        Samples on which the MILP is tried; 0 for none.
    """

    network: str
    loss: str
    norm: str
    samples: int
    radii: tuple[float, ...]
    milp: int = 0

    @property
    def name(self) -> str:
        """What ``--only`` selects."""
        return f"{self.network} {self.loss} {self.norm} N={self.samples}"


CASES = (
    *(Case("64-32-16", loss, "linf", 20, (0.05, 0.02, 0.01), 3) for loss in ("margin", "hinge")),
    *(Case("64-32-16", loss, "l1", 20, (0.5, 0.2), 3) for loss in ("margin", "hinge")),
    *(Case("64-32-16", loss, "linf", 100, (0.05, 0.02, 0.01)) for loss in ("margin", "hinge")),
    *(Case("64-64-64", loss, "l1", 20, (0.5, 0.2)) for loss in ("margin", "hinge")),
    *(Case("64-64-64", loss, "linf", 20, (0.02,)) for loss in ("margin", "hinge")),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One certificate: CPU seconds, radii closed, largest width, and the brackets."""

    cpu: float
    exact: int
    open: float
    risks: str


def run(settings: Settings) -> Section:
    """Measure all cases."""
    cases = [case for case in CASES if settings.wants(case.name)]
    if not cases:
        raise Unavailable(f"no case contains any of {', '.join(settings.only)}")
    rows, ratios = [], []
    for case in cases:
        ours = _certify(case, case.samples, "search", settings.limit)
        row = [case.network, case.loss, case.norm, str(case.samples), ", ".join(f"{r:g}" for r in case.radii), seconds(ours.cpu),
               f"{ours.exact} of {len(case.radii)}", f"{ours.open:.1e}", ours.risks]  # fmt: skip
        if case.milp:
            few = _certify(case, case.milp, "search", settings.limit)
            other = _certify(case, case.milp, "milp", max(LEAST, PATIENCE * few.cpu))
            ratios.append(other.cpu / few.cpu)
            row += [
                str(case.milp),
                seconds(few.cpu),
                seconds(other.cpu),
                f"{other.exact} of {len(case.radii)}",
                seconds(ratios[-1]),
            ]
        rows.append((*row, *["-"] * (len(HEADER) - len(row))))
        print(*rows[-1], sep=" | ", flush=True)
    text = f"milp / search from {seconds(min(ratios))} to {seconds(max(ratios))}." if ratios else "No MILP was tried."
    return Section(measured=MEASURED, header=HEADER, rows=tuple(rows), summary=bullets(text, []))


def _certify(case: Case, samples: int, engine: str, limit: float) -> Run:
    network = wv.load(INSTANCES / "digits" / f"digits-{case.network}.onnx")
    data = wv.Dataset.load(INSTANCES / "digits" / "digits-test.npz").first(samples)
    ball = wv.WassersteinBall(radius=case.radii[-1], order=1, norm=wv.Norm(case.norm))
    options = dataclasses.replace(DistanceOptions(), engine=engine, time_limit=limit)
    started = time.process_time()
    found = wv.certify(
        network, data, ball, loss=case.loss, radii=case.radii, gap=GAP, options=options, comparison_time=0.0
    )  # fmt: skip
    cpu = time.process_time() - started
    brackets = [point.risk for point in found.curve]
    widths = [(b.upper - b.lower) / max(1.0, abs(b.upper)) for b in brackets]
    return Run(cpu, sum(w <= GAP for w in widths), max(widths), ", ".join(f"[{b.lower:.5f}, {b.upper:.5f}]" for b in brackets))


BENCHMARK = Benchmark("Exact worst-case risks", run)
