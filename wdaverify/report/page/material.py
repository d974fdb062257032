"""What a page is made of: a document, as its JSON file says it, and the arrays that the file does not hold."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.dataset import Dataset
    from wdaverify.transport import TransportPlan


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """A result, as the sections of its page see it.

    Attributes
    ----------
    document
        One of the kinds of `report.records`, decoded.
    data
        The samples, where the result is about samples.
    shape
        Of one input before flattening.
    plans
        One per radius of the curve.
    names
        Of the features, where the domain gives them.
    certificate
        Name of the JSON file that was written with the page; ``None`` without one.
    comparison
        Of ``bench --compare``: ``{matched, agreeing, contradictions, times}``.
    """

    document: dict[str, Any]
    data: Dataset | None = None
    shape: tuple[int, ...] = ()
    plans: Sequence[TransportPlan] = ()
    names: Sequence[str] | None = None
    certificate: str | None = None
    comparison: dict[str, Any] | None = None

    @property
    def kind(self) -> str:
        """Of the document."""
        return str(self.document["kind"])

    @property
    def order(self) -> float:
        """Of the Wasserstein distance."""
        return float(self.document["threat"]["order"])

    @property
    def norm(self) -> str:
        """The ground norm."""
        return str(self.document["options"]["norm"])

    @cached_property
    def weights(self) -> list[float]:
        """One per sample, with sum 1."""
        assert self.data is not None
        return [float(w) for w in self.data.fractions]

    def feature(self, k: int) -> str:
        """The name of a feature."""
        return f"x[{k}]" if self.names is None else self.names[k]

    def reach(self, cost: float) -> float:
        """The distance that has a cost: its p-th root; of order inf the cost itself."""
        return cost if math.isinf(self.order) else cost ** (1 / self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page: its name, its heading, and what its template shows."""

    name: str
    title: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def template(self) -> str:
        """Sections that are a plot and its numbers share one."""
        return "plot.html" if "figure" in self.values else f"{self.name}.html"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: its text, what it is sorted by, and whether it stands out."""

    text: str
    key: float | str | None = None
    marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that readers can sort; `numeric` names the columns whose cells stand to the right."""

    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[int] = frozenset()
    left_out: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot: what it shows in words, and what Plotly draws."""

    name: str
    label: str
    traces: Sequence[dict[str, Any]]
    layout: dict[str, Any]

    @property
    def spec(self) -> dict[str, Any]:
        """What the script on the page reads."""
        return {"data": list(self.traces), "layout": self.layout}


def number(text: str, key: float | str | None, *, marked: bool = False) -> Cell:
    """A cell that is sorted by a number; infinite ones come last, missing ones after them."""
    value = math.nan if key is None else float(key)
    return Cell(text, "nan" if math.isnan(value) else repr(value), marked)


def columns(*names: int) -> frozenset[int]:
    """The numeric columns of a table."""
    return frozenset(names)
