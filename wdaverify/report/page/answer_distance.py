"""The answer to ``distance``: how far the nearest errors are."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from wdaverify.report.numbers import shown, shown_bracket
from wdaverify.report.page.material import Section

if TYPE_CHECKING:
    from wdaverify.report.page.material import Material


def answer_distance(material: Material) -> Section:
    """The nearest and the median distance, and how many are exact."""
    brackets = [record["distance"] for record in material.document["distances"]]
    count, exact = len(brackets), sum(b["status"] == "exact" for b in brackets)
    wrong = sum(float(b["upper"]) == 0 for b in brackets)
    positive = [b for b in brackets if 0 < float(b["upper"]) < math.inf]
    cards = [{"name": "errors as they are", "value": f"{wrong} of {count}", "detail": "distance 0", "badges": []}]
    if positive:
        nearest = min(positive, key=lambda b: float(b["upper"]))
        middle = [statistics.median(float(b[end]) for b in brackets) for end in ("lower", "upper")]
        cards += [
            {"name": "nearest error", "value": shown(nearest["upper"]), "badges": [nearest["status"], nearest["evidence"]],
             "detail": shown_bracket(nearest["lower"], nearest["upper"])},
            {"name": "median", "value": shown(middle[1]), "detail": shown_bracket(*middle), "badges": []},
        ]  # fmt: skip
    words = [
        f"The minimum adversarial distance of a sample is how far ({material.norm} norm) the nearest point of the domain lies "
        f"to which the network does not strictly give the sample's label. {exact} of {count} are exact."
    ]
    if material.document["interrupted"]:
        words.append("The search was interrupted; the brackets hold, but are wider than they could be.")
    return Section(name="answer", title="Answer", values={"cards": cards, "sentences": words, "more": 0})
