"""WDA++: the nearest point that three kinds of search find, sample by sample.

1. `nearest_rival`: walks along the boundaries to the likeliest rivals;
2. `closest_flip`: small steps until the label flips, brought nearer along the boundary if that is close to what 1 found;
3. Auto-PGD in balls just smaller than the distance known: a point there is a nearer one, and is brought nearer in turn.

The distances are what the optimal distribution needs: its mass goes to the samples that are cheapest to move
(`wdaverify.knapsack`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.attack.apgd import auto_pgd
from wdaverify.attack.closest_flip import closest_flip
from wdaverify.attack.nearest_rival import Nearest, brought_near, nearest_rival
from wdaverify.attack.objectives import OBJECTIVES

if TYPE_CHECKING:
    from torch import Tensor

    from wdaverify.attack.rows import Rows

PARTS = ("nearest", "closest-flip", "apgd-below")

_WORTH_DESCENDING = 1.2
"""A flip this much farther than the best known point is not followed up."""

_BELOW = (0.98, 0.995, 0.98)
"""Radii of the Auto-PGD runs, relative to the distance known."""


def wda_plus_plus(rough: Rows, exact: Rows, *, steps: int, restarts: int, candidates: Tensor) -> Nearest:
    """Run the three searches one after the other; `restarts` are those of the first.

    Parameters
    ----------
    rough, exact
        The same rows, without rivals, evaluated in float32 and in float64.
    candidates
        Rivals (R, k) to consider.
    """
    known = nearest_rival(rough, exact, steps=steps, restarts=restarts, candidates=candidates)
    flips, flipped = closest_flip(rough, steps)
    near = flipped & (rough.distance(flips) <= _WORTH_DESCENDING * known.distances)
    index = near.nonzero().squeeze(1)
    known = known.put(index, *brought_near(exact.select(index), flips[index]), part=1)
    for run, share in enumerate(_BELOW):
        known = _below(
            rough,
            exact,
            known,
            share=share,
            rival=None if run == 0 else candidates[:, (run - 1) % candidates.shape[1]],
            steps=steps,
        )
    return known


def _below(rough: Rows, exact: Rows, known: Nearest, *, share: float, rival: Tensor | None, steps: int) -> Nearest:
    """Run Auto-PGD in balls a little smaller than the distance known, without a rival or toward one of each row."""
    index = (known.distances.isfinite() & (known.distances > 0)).nonzero().squeeze(1)
    if len(index) == 0:
        return known
    some = rough.select(index)
    radius = (share * known.distances[index]).to(some.samples.dtype)
    objective = OBJECTIVES["dlr" if rival is None else "dlr-targeted"]
    aimed = some.against(None if rival is None else rival[index])
    found = auto_pgd(aimed, radius, some.samples, objective=objective, steps=steps)
    hit = (found.margins >= 0).nonzero().squeeze(1)
    return known.put(index[hit], *brought_near(exact.select(index[hit]), found.points[hit]), part=2)
