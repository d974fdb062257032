"""The questions whose proofs are measured: the reference cases of the tests, the trained instances, and published properties."""

from __future__ import annotations

import csv
import dataclasses
import json
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wdaverify as wv
from benchmarks.published import instances
from wdaverify.cli import lipschitz as lipschitz_command
from wdaverify.cli import verify as verify_command
from wdaverify.domain_file import parse_domain
from wdaverify.feature_domain import plain_box
from wdaverify.growth.document import lipschitz_document
from wdaverify.growth.document import options_record as growth_record
from wdaverify.growth.options import LipschitzOptions
from wdaverify.proof.distances import save_distances
from wdaverify.risk.adversarial import DistanceOptions
from wdaverify.risk.distance import distances
from wdaverify.risk.document import distance_document, options_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.settings import Settings
    from wdaverify.feature_domain import Domain

ROOT = Path(__file__).resolve().parents[1]
GOLDEN, LIPSCHITZ, INSTANCES = ROOT / "tests/data/golden", ROOT / "tests/data/lipschitz", ROOT / "instances"
NORMS = {"1": "l1", "2": "l2", "inf": "linf"}
LOSSES = {"margin": "margin", "hinge": "hinge"}
ORDERS = {"R1": ("1",), "R2": ("2",), "Rinf": ("inf",), "Rp_margin_any_p": ("1", "1.5", "3", "inf")}
RISKS = (("iris/iris-16-16", "l1", 0.05), ("digits/digits-64-32-16", "linf", 0.02), ("digits/digits-64-64-64", "l1", 0.2))
"""Trained networks with norm and radius, on ten samples each."""

CONSTANTS = {"L": "label", "L_box": "label", "L_margin": "loss:margin", "L_margin_box": "loss:margin"}
PUBLISHED = (
    "ACASXU_run2a_1_1_batch_2000 prop_3", "256x2 prop_0_0.03", "256x2 prop_1_0.03", "256x2 prop_2_0.03",
    "256x2 prop_3_0.03", "256x2 prop_4_0.03",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Solved:
    """An answer: how to write its report with its proofs, and the files that the judge reads."""

    save: Callable[[Path], None]
    files: dict[str, Path]


@dataclass(frozen=True, slots=True)
class Question:
    """One call of the library, with the name of its family and its own."""

    family: str
    name: str
    solve: Callable[[], Solved]


def _risk(
    files: tuple[Path, Path], samples: int | None, domain: Domain | wv.Box, ball: wv.WassersteinBall, radii: list[float],
    loss: str, options: DistanceOptions, gap: float | None,
) -> Solved:  # fmt: skip
    network, data = wv.load(files[0]), _first(files[1], samples)
    chosen: dict[str, Any] = {} if gap is None else {"gap": gap}
    found = wv.certify(network, data, ball, loss=loss, radii=radii, domain=domain, options=options, comparison_time=0.0, **chosen)
    return Solved(found.save, {"model": files[0], "data": files[1]})


def _distances(files: tuple[Path, Path], samples: int | None, domain: str, norm: wv.Norm, options: DistanceOptions) -> Solved:
    network, data, box = wv.load(files[0]), _first(files[1], samples), parse_domain(domain)
    found = distances(network, data, norm=norm, domain=box, options=options)
    document = distance_document(network, data, found, domain=box, options=options_record(norm, options), seconds=0.0)

    def save(path: Path) -> None:
        save_distances(document, path, network, data, found, domain=box, norm=norm, options=options)

    return Solved(save, {"model": files[0], "data": files[1]})


def _first(file: Path, samples: int | None) -> wv.Dataset:
    data = wv.Dataset.load(file)
    return data if samples is None else data.first(samples)


def _constants(model: Path, domain: str, norm: str, functionals: Sequence[str], options: LipschitzOptions) -> Solved:
    network, box = wv.load(model), plain_box(parse_domain(domain), "constants")
    found = wv.lipschitz_constants(network, list(functionals), domain=box, norms=[wv.Norm(norm)], options=options)
    record = growth_record(wv.Norm(norm), options)
    document = lipschitz_document(network, found, domain=box, options=record, seconds=0.0, interrupted=False)

    def save(path: Path) -> None:
        lipschitz_command.write_constants(document, path, network, found, box, options, proof=True, quiet=True)

    return Solved(save, {"model": model})


def _verdict(model: Path, question: Path, limit: float) -> Solved:
    network, options = wv.load(model), dataclasses.replace(DistanceOptions(), time_limit=None)
    answer = wv.verify(network, question, time_limit=limit)
    document = verify_command._document(network, answer, {})

    def save(path: Path) -> None:
        verify_command._save_proved(document, path, network, answer, str(question), options, quiet=True)

    return Solved(save, {"model": model, "property": question})


def golden() -> Iterator[Question]:
    """Every risk, distance and constant on a box of the golden cases, but the cross-entropy."""
    for case in json.loads((GOLDEN / "golden.json").read_text())["cases"]:
        answers = case.get("expected_by_r") or dict.fromkeys(NORMS, case["expected"])
        files, domain, name = (GOLDEN / case["onnx"], GOLDEN / case["data"]), case["domain_option"], case["name"]
        for r, expected in answers.items():
            norm = NORMS[r]
            for loss, order, radii in _golden_risks(expected):
                ball = wv.WassersteinBall(radii[0], order=float(order), norm=wv.Norm(norm))
                ask = partial(_risk, files, None, parse_domain(domain), ball, radii, loss, DistanceOptions(), None)
                yield Question("golden risks", f"{name} {norm} order {order} {loss}", ask)
            if "zero_one" in expected:
                ask = partial(_distances, files, None, domain, wv.Norm(norm), DistanceOptions())
                yield Question("golden distances", f"{name} {norm}", ask)
            names = [f"{kind}:{y}" for field, kind in CONSTANTS.items() for y in _labels(expected.get(field, {}))]
            if names and domain != "Rn":
                ask = partial(_constants, files[0], domain, norm, names, LipschitzOptions())
                yield Question("golden constants", f"{name} {norm}", ask)


def _golden_risks(expected: dict[str, Any]) -> Iterator[tuple[str, str, list[float]]]:
    """(loss, order, radii)."""
    for order, values in expected.get("zero_one", {}).items():
        yield "zero-one", order, [float(v) for v in values]
    for field, orders in ORDERS.items():
        values = expected.get(field, {})
        for loss, by_radius in ({"margin": values} if field == "Rp_margin_any_p" else values).items():
            for order in orders if by_radius and loss in LOSSES else ():
                yield loss, order, [float(v) for v in by_radius]


def _labels(values: Any) -> list[str]:
    return [str(y) for y in (values if isinstance(values, dict) else range(len(values)))]


def anchors() -> Iterator[Question]:
    """Every reference constant, one by one, but the cross-entropy's."""
    for case in json.loads((LIPSCHITZ / "anchors.json").read_text())["cases"]:
        box = case["domain_option"]
        domain = str(LIPSCHITZ / box) if box.endswith(".npz") else box
        for one in case["constants"]:
            if "cross-entropy" not in one["functional"]:
                ask = partial(_constants, LIPSCHITZ / case["onnx"], domain, one["norm"], [one["functional"]], LipschitzOptions())
                yield Question("reference constants", f"{case['case']} {one['norm']} {one['functional']}", ask)


def trained(limit: float) -> Iterator[Question]:
    """The lists of the trained instances on boxes."""
    timed, growth = dataclasses.replace(DistanceOptions(), time_limit=limit), LipschitzOptions(time_limit=limit)
    for model, question, _ in csv.reader((INSTANCES / "verify.csv").open()):
        yield Question("trained verdicts", f"{Path(model).stem} {Path(question).stem}",
                       partial(_verdict, INSTANCES / model, INSTANCES / question, limit))  # fmt: skip
    for row in csv.DictReader((INSTANCES / "distance.csv").open()):
        norm, count = row["norm"] or "linf", int(row["samples"]) if row["samples"] else None
        files = INSTANCES / row["model"], INSTANCES / row["data"]
        yield Question(
            "trained distances", f"{files[0].stem} {norm}", partial(_distances, files, count, "0,1", wv.Norm(norm), timed)
        )
    for (name, norm, radius), loss in product(RISKS, ("zero-one", "margin", "hinge")):
        files = INSTANCES / f"{name}.onnx", INSTANCES / f"{name.split('/')[0]}/{name.split('/')[0]}-test.npz"
        ball, gap = wv.WassersteinBall(radius, order=1, norm=wv.Norm(norm)), None if loss == "zero-one" else 1e-4
        yield Question("trained risks", f"{files[0].stem} {norm} {loss}",
                       partial(_risk, files, 10, parse_domain("0,1"), ball, [radius], loss, timed, gap))  # fmt: skip
    for row in csv.DictReader((INSTANCES / "lipschitz.csv").open()):
        network = wv.load(INSTANCES / row["model"])
        names = [f"label:{y}" for y in range(network.outputs)] if row["functional"] == "all" else [row["functional"]]
        yield Question("trained constants", f"{Path(row['model']).stem} {row['norm']}",
                       partial(_constants, INSTANCES / row["model"], "0,1", row["norm"], names, growth))  # fmt: skip


def published(settings: Settings) -> Iterator[Question]:
    """A few properties of the published data, if they are there."""
    for one in instances(settings, "acasxu", "mnist_fc") if settings.data is not None else ():
        if any(text in one.name for text in PUBLISHED):
            yield Question("published verdicts", one.name, partial(_verdict, one.model, one.question, settings.limit))
