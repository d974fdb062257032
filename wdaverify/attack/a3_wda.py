"""WDA with adaptive restarts: directions learned from earlier ones, and effort only where a sample is close to falling.

After Liu et al., "Practical evaluation of adversarial robustness via adaptive auto attack" (CVPR 2022), whose two ideas are

* *adaptive direction initialisation*: a restart first ascends ``<w, f(x)>`` for a random direction w of the logits, from a random
  point, and w takes entries over from the direction that served best before; then the ascent toward one rival follows;
* *online discarding*: samples that are hard are left out of later restarts.

There both are statistics of the data set. Here they are statistics of the sample's own restarts, so that what is found for a
sample depends neither on its neighbours nor on the batch size. A sample goes on while the part of its clean margin that is
still missing is below a limit that falls from restart to restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wdaverify.attack.ball import scattered
from wdaverify.attack.objectives import OBJECTIVES
from wdaverify.attack.pgd import Iterate, ascend_in_ball
from wdaverify.attack.wda import wda

if TYPE_CHECKING:
    from torch import Tensor

    from wdaverify.attack.rows import Rows

_WARM_UP = 7
_DIRECTIONS = 1 << 20  # streams of noise that no start uses
_INHERITED = 0.5
_LIMIT, _LIMIT_DECAY = 0.9, 0.85


def a3_wda(rows: Rows, radius: Tensor, *, steps: int, restarts: int, candidates: Tensor) -> Iterate:
    """Run `wda` once, then adaptive restarts."""
    kept = wda(rows, radius, steps=steps, restarts=1, candidates=candidates)
    clean = rows.margin(rows.samples)
    classes = _classes(rows)
    direction = torch.zeros((rows.count, classes), device=radius.device, dtype=radius.dtype)
    served = torch.full_like(radius, -torch.inf)
    for restart in range(1, restarts):
        missing = kept.margins / clean.clamp(max=-torch.finfo(clean.dtype).tiny)
        limit = _LIMIT * _LIMIT_DECAY ** (restart - 1)
        index = ((kept.margins < 0) & (missing <= limit)).nonzero().squeeze(1)
        if len(index) == 0:
            break
        some, reach = rows.select(index), radius[index]
        drawn = _drawn(some, direction[index], served[index], restart)
        found = _restarted(some, reach, drawn, steps=steps, restart=restart)
        better = found.margins > served[index]
        direction[index] = torch.where(better[:, None], drawn, direction[index])
        served[index] = torch.where(better, found.margins, served[index])
        kept = kept.put(index, found)
    return kept


def _classes(rows: Rows) -> int:
    """The number of logits."""
    with torch.no_grad():
        return int(rows.logits(rows.samples[:1]).shape[1])


def _drawn(rows: Rows, direction: Tensor, served: Tensor, restart: int) -> Tensor:
    """Directions (R, K): random with a negative entry for the label, half of it inherited where one has served before."""
    classes = direction.shape[1]
    noise = rows.noise(2 * classes, _DIRECTIONS + restart)
    fresh = 2 * noise[:, :classes] - 1
    own = rows.labels[:, None]
    fresh = fresh.scatter(1, own, -fresh.gather(1, own).abs())
    inherit = (noise[:, classes:] < _INHERITED) & served.isfinite()[:, None]
    return torch.where(inherit, direction, fresh)


def _restarted(rows: Rows, radius: Tensor, direction: Tensor, *, steps: int, restart: int) -> Iterate:
    """Ascend along the direction from a random point, then toward the class that leads there."""
    warm = ascend_in_ball(
        rows, radius, scattered(rows, radius, restart), objective=lambda _, z: (direction * z).sum(1), steps=_WARM_UP
    )
    with torch.no_grad():
        leading = rows.logits(warm.points).scatter(1, rows.labels[:, None], -torch.inf).argmax(1)
    aimed = ascend_in_ball(rows.against(leading), radius, warm.points, objective=OBJECTIVES["margin"], steps=steps, first=0.5)
    return warm.better(aimed.points, aimed.margins)
