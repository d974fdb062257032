"""How the classes fare: errors, distances, and what the worst distribution makes of them."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from wdaverify.report.numbers import percent, shown, shown_up
from wdaverify.report.page.material import Cell, Section, Table, columns, number

if TYPE_CHECKING:
    from wdaverify.report.page.material import Material
    from wdaverify.transport import TransportPlan


def classes(material: Material) -> Section | None:
    """A row per label of the data."""
    assert material.data is not None
    labels = sorted(set(material.data.y.tolist()))
    plan, radius = _largest(material)
    headers = ["class", "samples", "weight", "errors as they are", "nearest error", "median"]
    if plan is not None:
        headers += [f"mass that moves at {radius}", f"mass on errors at {radius}"]
    by_distances = bool(material.document["distances"])
    if not by_distances:
        headers = [
            h for h in headers if h not in {"errors as they are", "nearest error", "median", f"mass on errors at {radius}"}
        ]
    uppers = _uppers(material.document["distances"])
    rows = [_row(material, label, plan, uppers) for label in labels]
    numeric = columns(*range(len(headers)))
    table = Table(caption="Classes by label of the data", headers=headers, rows=rows, numeric=numeric)
    note = "Distances are upper ends: an error is known there."
    return Section(name="classes", title="Classes", values={"table": table, "note": note if by_distances else ""})


def _largest(material: Material) -> tuple[TransportPlan | None, str]:
    """The plan of the largest radius, if there are plans."""
    if not material.plans:
        return None, ""
    radii = [point["radius"] for point in material.document["curve"]]
    k = max(range(len(radii)), key=radii.__getitem__)
    return material.plans[k], shown(radii[k])


def _row(material: Material, label: int, plan: TransportPlan | None, uppers: dict[int, float]) -> list[Cell]:
    """What is known of a class; `uppers` are the distances, by sample, if there are any."""
    assert material.data is not None
    members = [i for i, y in enumerate(material.data.y.tolist()) if y == label]
    weight = math.fsum(material.weights[i] for i in members)
    cells = [number(str(label), label), number(str(len(members)), len(members)), number(percent(weight), weight)]
    if uppers:
        known = [uppers[i] for i in members if i in uppers]
        wrong, positive = sum(d == 0 for d in known), [d for d in known if d > 0]
        nearest = min(positive, default=None)
        middle = statistics.median_high(known) if known else None
        cells += [number(str(wrong), wrong), number(shown_up(nearest, 5), nearest), number(shown_up(middle, 5), middle)]
    if plan is not None:
        own = [atom for atom in plan.atoms if atom.label == label]
        moved = math.fsum(atom.mass for atom in own if atom.cost > 0)
        cells.append(number(percent(moved), moved))
        if uppers:
            wrong_mass = math.fsum(atom.mass for atom in own if atom.cost > 0 or uppers.get(atom.source) == 0)
            cells.append(number(percent(wrong_mass), wrong_mass))
    return cells


def _uppers(records: list[dict[str, Any]]) -> dict[int, float]:
    """Upper ends of distances by sample."""
    return {r["sample"]: float(r["distance"]["upper"] if isinstance(r["distance"], dict) else r["distance"]) for r in records}
