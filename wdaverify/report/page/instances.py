"""The instances of a list, and what each came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wdaverify.report.numbers import shown_down, shown_up
from wdaverify.report.page.material import Cell, Section, Table, columns, number

if TYPE_CHECKING:
    from wdaverify.report.page.material import Material

_ROWS = 1000
_FEW = 3
"""Ends of brackets that are shown of a row."""

_BAD = {"error", "memout"}


def instances(material: Material) -> Section:
    """A row per instance."""
    found = material.document["instances"]
    headers = ("instance", "verdict", "seconds", "command", "model", "property or data", "options", "lower ends", "upper ends")
    left = len(found) - _ROWS
    table = Table(
        caption="Instances in the order of the list",
        headers=headers,
        rows=[_row(each) for each in found[:_ROWS]],
        numeric=columns(0, 2),
        left_out=f"{left} further instances are left out." if left > 0 else "",
    )
    errors = [each for each in found if each["error"]]
    return Section(name="instances", title="Outcomes", values={"table": table, "errors": errors[:_ROWS]})


def _row(each: dict[str, Any]) -> list[Cell]:
    """An instance."""
    options = " ".join(f"{name}={value}" for name, value in each["options"].items())
    return [
        number(str(each["instance"]), each["instance"]),
        Cell(each["verdict"], marked=each["verdict"] in _BAD),
        number(f"{each['seconds']:.2f}", each["seconds"]),
        Cell(each["command"]),
        Cell(each["model"]),
        Cell(each["subject"]),
        Cell(options),
        Cell(_ends([shown_down(end, 6) for end in each["lower"]])),
        Cell(_ends([shown_up(end, 6) for end in each["upper"]])),
    ]


def _ends(ends: list[str]) -> str:
    """The first of them."""
    more = f" ({len(ends) - _FEW} more)" if len(ends) > _FEW else ""
    return " ".join(ends[:_FEW]) + more
