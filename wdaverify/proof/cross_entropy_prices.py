"""Prices of the cross-entropy: the forms of a cover of the logits (`softmax_cover`) are priced, one target each.

All targets share the bounds that are certified at the root. A form is priced over the whole domain, not over its region alone:
away from its region a chord lies below what it is a chord of. Regions that the sample does not reach are refuted by one end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdaverify.proof.context import Context
from wdaverify.proof.leaves import EmptyLeaves, Target
from wdaverify.proof.prices import PriceProof
from wdaverify.proof.refutation import refuted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.program.backend import Backend
    from wdaverify.proof.ledger import Emit
    from wdaverify.proof.prices import Price
    from wdaverify.proof.softmax_cover import CoverRow


@dataclass(frozen=True, slots=True, eq=False)
class CrossEntropyProof:
    """The proof of one price; the rivals of `price` play no part.

    Attributes
    ----------
    rows
        The targets.
    """

    price: Price
    rows: Sequence[CoverRow]
    backend: Backend
    deadline: Deadline

    def run(self, emit: Emit) -> bool:
        """Whether all targets are proved, with records to `emit`."""
        root = Context.of(self.price.network, self.price.area, emit)
        forms = PriceProof(self.price, self.backend, self.deadline)
        emit({"t": "targets"})
        return all(
            forms.target(root, each.row, each.offset, emit) if each.fact is None else self._empty(root, each, each.fact, emit)
            for each in self.rows
        )

    def _empty(self, root: Context, each: CoverRow, fact: tuple[Vector, Vector], emit: Emit) -> bool:
        """Whether the region beyond a range is refuted."""
        row, offset = fact
        target = Target(root.area.question(row[None], offset), (each.fact_id,), facts=root.area.numbered)
        return refuted(root, EmptyLeaves(root, target), self.backend, emit, self.deadline)
