"""What other certificates say at the same radii, and how far above this one they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wdaverify.report.numbers import MISSING, shown, shown_up
from wdaverify.report.page.material import Cell, Section, Table, columns, number

if TYPE_CHECKING:
    from wdaverify.report.page.material import Material


def bounds(material: Material) -> Section | None:
    """A table of all certificates, and one of the constants they rest on."""
    document = material.document
    if not document["bounds"]:
        return None
    labels = list(dict.fromkeys(f for b in document["bounds"] for f in b["constants"] if f.startswith("label:")))
    values: dict[str, Any] = {"table": _risks(document), "notes": [b for b in document["bounds"] if b.get("note")]}
    values["constants"] = _constants(document, labels) if labels else None
    return Section(name="bounds", title="Other certificates", values=values)


def _risks(document: dict[str, Any]) -> Table:
    """One row per certificate, this one first."""
    curve = document["curve"]
    headers = ["certificate", "largest constant"]
    rows = [[Cell("this one", marked=True), number(MISSING, None)]]
    for point in curve:
        headers += [f"risk at {shown(point['radius'])}", "above"]
        upper = point["worst_case_risk"]["upper"]
        rows[0] += [number(shown_up(upper, 6), upper, marked=True), number(MISSING, None)]
    for bound in document["bounds"]:
        largest = max((float(v) for v in bound["constants"].values()), default=None)
        row = [Cell(bound["name"]), number(shown_up(largest, 6), largest)]
        for point, risk in zip(curve, bound["worst_case_risk"], strict=True):
            if not bound["constants"]:
                row += [number(MISSING, None)] * 2
                continue
            above = float(risk) - float(point["worst_case_risk"]["upper"])
            # two infinite bounds differ by no number
            row += [number(shown_up(risk, 6), risk), number(MISSING if math.isnan(above) else shown(above, 3), above)]
        rows.append(row)
    numeric = columns(*range(1, len(headers)))
    return Table(caption="Upper bounds of the same risk, for comparison", headers=headers, rows=rows, numeric=numeric)


def _constants(document: dict[str, Any], labels: list[str]) -> Table:
    """The constants of the certificates, label by label."""
    used = [b for b in document["bounds"] if any(label in b["constants"] for label in labels)]
    rows = [
        [Cell(label), *(number(shown_up(b["constants"].get(label), 6), b["constants"].get(label)) for b in used)]
        for label in labels
    ]
    headers = ["functional", *(b["name"] for b in used)]
    return Table(caption="Their Lipschitz constants", headers=headers, rows=rows, numeric=columns(*range(1, len(headers))))
