"""What the numbers rest on, in the words of docs/trust.md."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from wdaverify.report.page.material import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify.report.page.material import Material

_WORDS = {
    "proved": "A proof stands in the certificate, and wdaverify check accepted it: a judge of Python's standard library that "
    "re-proves every end in rational arithmetic, shares no code with the search, and needs neither solver nor torch nor onnx.",
    "checked": "Both ends were recomputed rigorously: points in exact rational arithmetic over the weights as stored, bounds in "
    "float64 with every rounding charged. No proof was kept. Solvers only proposed multipliers; they are not trusted.",
    "solver": "An end rests on the word of a mixed-integer solver, less a slack for its tolerances. It is not proved.",
}

_ATTACK = (
    "Points are found in float32 and their verdicts are evaluated again in float64; the budget is allocated exactly. Everything "
    "on this page is an upper end of an accuracy, or a lower end of a risk. That nothing worse exists, an attack does not show."
)

_BENCH = (
    "Verdicts and brackets are those of the commands, each run in a process of its own: what each rests on, its command says. A "
    "timeout, memout or error is no answer about the network."
)

_REAL = (
    "Numbers speak about the network in real arithmetic over the weights as stored. A deployed network rounds: very near a "
    "decision boundary it may decide differently."
)


def evidence(material: Material) -> Section:
    """How many brackets have which evidence, and what that means."""
    if material.kind in {"attack", "bench"}:
        return Section(
            name="evidence", title="What this rests on", values={"kinds": [], "words": [_plain(material)], "check": ""}
        )
    counts = Counter(bracket["evidence"] for bracket in _brackets(material.document))
    kinds = [{"name": name, "count": counts[name], "words": words} for name, words in _WORDS.items() if counts[name]]
    check = f"wdaverify check {material.certificate}" if material.certificate and counts["proved"] else ""
    return Section(name="evidence", title="What this rests on", values={"kinds": kinds, "words": [_REAL], "check": check})


def _plain(material: Material) -> str:
    """What holds of kinds without brackets of their own."""
    return _ATTACK if material.kind == "attack" else _BENCH


def _brackets(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All brackets of a document."""
    for field, name in (("curve", "worst_case_risk"), ("distances", "distance"), ("constants", "value"), ("slopes", "value")):
        for record in document.get(field) or ():
            yield record[name]
