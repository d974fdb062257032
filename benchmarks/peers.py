"""Lipschitz constants of small networks: ours against the recorded times of LipBaB and LipMIP."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import wdaverify as wv
from benchmarks.arithmetic import geometric_mean, ratio
from benchmarks.results import bullets, seconds
from benchmarks.settings import Benchmark, Section, Settings, Unavailable
from wdaverify.domain_file import parse_domain
from wdaverify.growth.constants import lipschitz_constants

if TYPE_CHECKING:
    from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "data" / "lipschitz"

MEASURED = """CPU seconds of one call for all functionals and norms of a network, divided by their number, against what the peers
took for one functional and norm on one core of a two-core machine (from `tests/data/lipschitz/anchors.json`; LipMIP runs on
Gurobi). `error` is the largest relative distance of an end of ours from the known value. Cross-entropy constants, which the
peers do not know, are left out. `wrong`: recorded answers of the peers that miss the known value by more than a relative 1e-5."""

HEADER = ("network", "constants", "sum s", "s each", "error", "LipBaB / ours", "LipMIP / ours", "wrong")


def run(settings: Settings) -> Section:
    """Measure every wanted network."""
    cases = [case for case in json.loads((FOLDER / "anchors.json").read_text())["cases"] if settings.wants(case["case"])]
    if not cases:
        raise Unavailable(f"no case contains any of {', '.join(settings.only)}")
    wv.lipschitz(wv.load(FOLDER / cases[0]["onnx"]), "logit:0", domain=wv.Box(-1, 1))  # no import is counted
    rows, ratios = [], {"lipbab": [], "lipmip": []}
    for case in cases:
        row, own = measure(case)
        rows.append(row)
        for peer, values in own.items():
            ratios[peer] += values
    text = "Geometric means over all constants: " + ", ".join(
        f"{peer} {seconds(geometric_mean(values))} times our time ({len(values)} constants)" for peer, values in ratios.items()
    )
    return Section(measured=MEASURED, header=HEADER, rows=tuple(rows), summary=bullets(text + ".", []))


def measure(case: dict[str, Any]) -> tuple[tuple[str, ...], dict[str, list[float]]]:
    """The line of a network, and the ratios of each peer."""
    network = wv.load(FOLDER / case["onnx"])
    box = case["domain_option"]
    domain = parse_domain(str(FOLDER / box) if box.endswith(".npz") else box)
    wanted = [c for c in case["constants"] if not c["functional"].startswith("loss:cross")]
    functionals, norms = (list(dict.fromkeys(c[key] for c in wanted)) for key in ("functional", "norm"))
    started = time.process_time()
    found = {(c.functional, str(c.norm)): c.value for c in lipschitz_constants(network, functionals, domain=domain, norms=norms)}
    taken = time.process_time() - started
    each = taken / len(found)
    error, wrong = 0.0, 0
    own: dict[str, list[float]] = {"lipbab": [], "lipmip": []}
    for constant in wanted:
        value = found[constant["functional"], constant["norm"]]
        error = max(error, abs(value.lower / constant["exact"] - 1), abs(value.upper / constant["exact"] - 1))
        for peer, values in own.items():
            record = constant.get("peers", {}).get(peer, {})
            if record.get("cpu_s"):
                values.append(ratio(record["cpu_s"], each))
            if record.get("finished") is not False and record.get("status") in (None, "optimal") and "value" in record:
                wrong += abs(record["value"] / constant["exact"] - 1) > 1e-5
    print(f"{case['case']}: {len(found)} constants in {taken:.3f} s", flush=True)
    means = [seconds(geometric_mean(values)) if values else "-" for values in own.values()]
    return (case["case"], str(len(found)), f"{taken:.3f}", f"{each:.4f}", f"{error:.1e}", *means, str(wrong)), own


BENCHMARK = Benchmark("Lipschitz constants of small networks: LipBaB and LipMIP", run)
