"""Make the page and write it, all or nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from wdaverify._errors import InputError
from wdaverify.report import json, records
from wdaverify.report.numbers import shown
from wdaverify.report.page.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import jinja2

    from wdaverify.report.page.material import Material

_TITLES = {
    "risk": "Worst-case risk",
    "attack": "Distributional attack",
    "distance": "Adversarial distances",
    "lipschitz": "Lipschitz constants",
    "bench": "Instances",
}


def save_page(material: Material, path: str | Path, *, inputs: Iterable[str | Path] = ()) -> None:
    """Write the page of a result.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = json.check_writable(path, inputs=inputs)
    json.write_bytes(render(material).encode("utf-8", "backslashreplace"), target)


def render(material: Material) -> str:
    """The page: HTML with style, script, plots and images within, and nothing that is fetched."""
    from plotly.offline import get_plotlyjs

    sections = [found for section in KINDS[material.kind] if (found := section(material)) is not None]
    figures = any("figure" in section.values for section in sections)
    return (
        _environment()
        .get_template("page.html")
        .render(
            material=material,
            document=material.document,
            title=f"{_TITLES[material.kind]} of {_subject(material.document)}",
            kind=_TITLES[material.kind],
            sections=sections,
            plotly=get_plotlyjs() if figures else "",
        )
    )


def _subject(document: dict[str, Any]) -> str:
    """The file that a result is about."""
    name = document["file"] if document["kind"] == "bench" else document["model"]["file"]
    return str(name or "a network")


@cache
def _environment() -> jinja2.Environment:
    """Templates of this folder; whatever they show is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wdaverify.report.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = shown
    return environment


def decoded(document: records.Document | records.BenchDocument, file: Path | None) -> dict[str, Any]:
    """A document as its file says it: with the evidence that the proofs in the file gave it, where one was written.

    Raises
    ------
    InputError
        If the file cannot be read, or is about something else.
    """
    plain: dict[str, Any] = msgspec.to_builtins(document)
    if file is None:
        return plain
    try:
        written = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{file}: is no JSON: {error}") from None
    for name in ("schema", "kind", "model", "data", "threat", "loss", "seconds"):
        if not isinstance(written, dict) or written.get(name) != plain.get(name):
            raise InputError(f"{file}: is not the file of this result: its {name} is another")
    return {name: value for name, value in written.items() if name != "proof"}
