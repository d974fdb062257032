"""The answer to ``distance``: how far the nearest errors are."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from wdaverify.bracket import Evidence
from wdaverify.report.numbers import shown_bracket, shown_up
from wdaverify.report.page.material import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.report.page.material import Material


def answer_distance(material: Material) -> Section:
    """The nearest and the median distance, and how many are exact."""
    brackets = [record["distance"] for record in material.document["distances"]]
    count, exact = len(brackets), sum(b["status"] == "exact" for b in brackets)
    wrong = sum(float(b["upper"]) == 0 for b in brackets)
    positive = [b for b in brackets if float(b["upper"]) > 0]
    cards = [{"name": "errors as they are", "value": f"{wrong} of {count}", "detail": "distance 0", "badges": []}]
    if any(float(b["upper"]) < math.inf for b in positive):
        middle = [statistics.median(float(b[end]) for b in brackets) for end in ("lower", "upper")]
        cards += [
            _nearest(positive),
            {"name": "median", "value": shown_up(middle[1], 6), "detail": shown_bracket(*middle), "badges": []},
        ]
    words = [
        f"The minimum adversarial distance of a sample is how far ({material.norm} norm) the nearest point of the domain lies "
        f"to which the network does not strictly give the sample's label. {exact} of {count} are exact."
    ]
    if material.document["interrupted"]:
        words.append("The search was interrupted; the brackets hold, but are wider than they could be.")
    return Section(name="answer", title="Answer", values={"cards": cards, "sentences": words, "more": 0})


def _nearest(positive: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The card of the least distance: another sample than that of the least upper end may turn out to be nearer."""
    first = min(positive, key=lambda b: float(b["upper"]))
    least = min(positive, key=lambda b: float(b["lower"]))
    status = first["status"] if float(least["lower"]) == float(first["lower"]) else "bracket"
    kinds = [Evidence(b["evidence"]) for b in positive]
    return {
        "name": "nearest error",
        "value": shown_up(first["upper"], 6),
        "detail": shown_bracket(least["lower"], first["upper"]),
        "badges": [status, str(Evidence.weakest(*kinds))],
    }
