"""The answer to ``lipschitz``, and to ``certify`` without data: how fast outputs and losses can change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.report.numbers import shown_bracket, shown_down, shown_up
from wdaverify.report.page.material import Section

if TYPE_CHECKING:
    from wdaverify.report.page.material import Material


def answer_lipschitz(material: Material) -> Section:
    """The largest constant, and what it says."""
    document = material.document
    constants = document["constants"]
    if not constants:
        return Section(name="answer", title="Answer", values={"cards": [], "sentences": ["No constant was found."], "more": 0})
    largest = max(constants, key=lambda record: float(record["value"]["upper"]))
    value = largest["value"]
    exact = sum(record["value"]["status"] == "exact" for record in constants)
    cards = [
        {"name": f"largest constant, {largest['functional']}", "value": shown_up(value["upper"], 6),
         "detail": shown_bracket(value["lower"], value["upper"]), "badges": [value["status"], value["evidence"]]},
        {"name": "constants", "value": f"{exact} of {len(constants)}", "detail": "exact", "badges": []},
    ]  # fmt: skip
    words = [
        f"Between any two inputs of the domain, {largest['functional']} changes by at most {shown_up(value['upper'])} times "
        f"their {largest['norm']} distance; somewhere it changes at a rate of at least {shown_down(value['lower'])}."
    ]
    if document.get("bounds"):
        subject = "moves the expected output" if constants[0]["functional"] == "logit:0" else "raises the expected loss"
        words.append(
            f"No distribution on the domain within W_p distance r of any data {subject} by more than "
            f"{shown_up(value['upper'])} * r (margin, hinge or cross-entropy loss, any order p ≥ 1)."
        )
    if document["interrupted"]:
        words.append("The search was interrupted; the brackets hold, but are wider than they could be.")
    return Section(name="answer", title="Answer", values={"cards": cards, "sentences": words, "more": 0})
