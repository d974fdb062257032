"""The answer to ``bench``: how many instances were decided."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from wdaverify.report.numbers import seconds
from wdaverify.report.page.material import Section
from wdaverify.report.records import DECIDED

if TYPE_CHECKING:
    from wdaverify.report.page.material import Material


def answer_bench(material: Material) -> Section:
    """A card for the decided and one for each verdict."""
    rows = material.document["instances"]
    counts = Counter(row["verdict"] for row in rows)
    decided = sum(n for verdict, n in counts.items() if verdict in DECIDED)
    total = sum(row["seconds"] for row in rows)
    cards = [{"name": "decided", "value": f"{decided} of {len(rows)}", "detail": f"{seconds(total)} of work", "badges": []}]
    cards += [{"name": verdict, "value": str(n), "detail": "", "badges": []} for verdict, n in sorted(counts.items())]
    words = [f"{decided} of {len(rows)} instances were decided: sat, unsat, or a bracket so narrow that it counts as exact."]
    if material.comparison is not None:
        against = material.comparison
        words.append(
            f"{against['matched']} instances are in the file to compare with; {against['agreeing']} agree and "
            f"{len(against['contradictions'])} contradict it."
        )
        words += [f"Contradiction: {each}" for each in against["contradictions"]]
    return Section(name="answer", title="Answer", values={"cards": cards, "sentences": words, "more": 0})
