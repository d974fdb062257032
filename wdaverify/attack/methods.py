"""The attacks by name: one file each, one line here.

There are two kinds. An attack *in the ball* looks for any adversarial point within a radius around each sample; a search for the
*nearest* one needs no radius and serves all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdaverify.attack.a3_wda import a3_wda
from wdaverify.attack.apgd import apgd
from wdaverify.attack.nearest_rival import nearest_rival
from wdaverify.attack.pgd import pgd
from wdaverify.attack.wda import wda
from wdaverify.attack.wda_plus_plus import PARTS, wda_plus_plus

if TYPE_CHECKING:
    from typing import Protocol

    from torch import Tensor

    from wdaverify.attack.nearest_rival import Nearest
    from wdaverify.attack.pgd import Iterate
    from wdaverify.attack.rows import Rows

    class InBall(Protocol):
        """An attack within a radius (R,)."""

        def __call__(self, rows: Rows, radius: Tensor, *, steps: int, restarts: int, candidates: Tensor) -> Iterate: ...  # noqa: D102

    class ToNearest(Protocol):
        """A search for nearest points, in two arithmetics."""

        def __call__(self, rough: Rows, exact: Rows, *, steps: int, restarts: int, candidates: Tensor) -> Nearest: ...  # noqa: D102


RIVALS = 9
"""Rivals of a sample that are considered: those of largest logit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """An attack: exactly one of the two functions, its usual effort, and the names of its parts for provenance.

    `polish` is the number of the part that sharpens its points in their activation cells, where the network is small enough.
    """

    steps: int
    restarts: int
    parts: tuple[str, ...]
    in_ball: InBall | None = None
    nearest: ToNearest | None = None
    polish: int | None = None


METHODS: dict[str, Method] = {
    "pgd": Method(in_ball=pgd, steps=50, restarts=1, parts=("pgd",)),
    "apgd": Method(in_ball=apgd, steps=100, restarts=1, parts=("apgd",)),
    "wda": Method(in_ball=wda, steps=50, restarts=2, parts=("wda",)),
    "a3-wda": Method(in_ball=a3_wda, steps=40, restarts=10, parts=("a3-wda",)),
    "nearest": Method(nearest=nearest_rival, steps=40, restarts=4, parts=("nearest",)),
    "wda++": Method(nearest=wda_plus_plus, steps=40, restarts=4, parts=(*PARTS, "cell-program"), polish=len(PARTS)),
}
