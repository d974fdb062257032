"""The question in full: network, data, domain, options, versions, and how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wdaverify.report.numbers import MISSING, seconds, shown
from wdaverify.report.page.material import Section

if TYPE_CHECKING:
    from wdaverify.report.page.material import Material

_LONGEST = 8
"""Ends of a box that are written out."""


def question(material: Material) -> Section:
    """Names and values, group by group."""
    document = material.document
    groups: dict[str, list[tuple[str, str]]] = {}
    if "model" in document:
        model = document["model"]
        sizes = f"{model['inputs']} inputs, {model['outputs']} outputs, {model['relus']} ReLUs"
        groups["Network"] = [("file", _text(model["file"])), ("SHA-256", _text(model["sha256"])), ("size", sizes)]
    if "data" in document:
        data = document["data"]
        groups["Data"] = [
            ("file", _text(data["file"])), ("SHA-256", _text(data["sha256"])), ("samples used", str(data["samples"]))
        ]  # fmt: skip
    if document["kind"] == "bench":
        groups["List"] = [("file", document["file"]), ("SHA-256", document["sha256"])]
    asked = [("domain", _domain(document["domain"]))] if "domain" in document else []
    if "threat" in document:
        asked.append(("distance", f"Wasserstein, order {shown(document['threat']['order'])}, {document['threat']['norm']}"))
    asked += [(name, document[name]) for name in ("loss", "method") if name in document]
    if asked:
        groups["Question"] = asked
    groups["Options"] = [(name.replace("_", " "), _text(value)) for name, value in document["options"].items()]
    run = [("seconds", seconds(document["seconds"])), *document["versions"].items()]
    if "forward" in document:
        run.insert(1, ("work", f"{document['forward']} evaluations, {document['backward']} gradients"))
    if material.certificate:
        run.insert(0, ("result file", material.certificate))
    groups["Run"] = run
    return Section(name="question", title="Question and run", values={"groups": groups})


def _text(value: Any) -> str:
    """A value as people write it."""
    if value is None:
        return MISSING
    return shown(value) if isinstance(value, float) else str(value)


def _domain(domain: dict[str, Any] | str) -> str:
    """The inputs that exist, in one line."""
    if isinstance(domain, str):
        return domain
    words = "box " + " to ".join(_ends(domain[end]) for end in ("lower", "upper"))
    counts = {"frozen": "frozen features", "integer": "whole-number features", "one_hot": "one-hot groups", "rows": "linear rows"}
    further = [f"{len(domain[name])} {what}" for name, what in counts.items() if domain.get(name)]
    if domain.get("weights"):
        further.append("weighted features")
    return ", ".join([words, *further])


def _ends(value: Any) -> str:
    """One end of a box, of all features or of each."""
    if not isinstance(value, list):
        return shown(value)
    some = ", ".join(shown(v, 4) for v in value[:_LONGEST])
    return f"({some}{', …' if len(value) > _LONGEST else ''})"
