"""Wasserstein distributional attack: move every sample toward one rival class, chosen by a short probe.

After "Tight robustness certificates and Wasserstein distributional attacks for deep neural networks" (arXiv:2510.10000): per
sample the margin ``f_j - f_y`` of one rival j is ascended along the steepest direction of the norm, projected onto ball and
box. The rival is chosen by a few steps of ascent toward each candidate, by the difference of logits that they reach (not by
the raw logit, which says nothing about f_y); the second ascent takes the rival that a probe on the loss reaches, and further
ones take the next best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wdaverify.attack.ball import scattered
from wdaverify.attack.objectives import OBJECTIVES
from wdaverify.attack.pgd import Iterate, ascend_in_ball

if TYPE_CHECKING:
    from torch import Tensor

    from wdaverify.attack.rows import Rows

_PROBE = 5


def ranked_rivals(rows: Rows, count: int) -> Tensor:
    """The classes (R, k) other than the label whose logits are largest at the samples, at most `count` of them."""
    with torch.no_grad():
        outputs = rows.logits(rows.samples)
    others = outputs.scatter(1, rows.labels[:, None], -torch.inf)
    return others.topk(min(count, outputs.shape[1] - 1), dim=1).indices


def probed_rivals(rows: Rows, radius: Tensor, candidates: Tensor, *, steps: int = _PROBE) -> tuple[Tensor, Iterate]:
    """The rivals (R, k + 1) in the order in which they deserve an ascent, and the best points that the probes met.

    Parameters
    ----------
    candidates
        Classes (R, k).

    Returns
    -------
    rivals, kept
        The best by the difference of logits after a short ascent toward each; the best by the loss, which is the class
        that leads after a short ascent of the cross-entropy; and the other candidates in the order of their differences.
    """
    count, ranks = candidates.shape
    pairs = rows.select(torch.arange(count, device=candidates.device).repeat_interleave(ranks))
    pairs, reach = pairs.against(candidates.reshape(-1)), radius.repeat_interleave(ranks)
    toward = ascend_in_ball(pairs, reach, pairs.samples, objective=OBJECTIVES["margin"], steps=steps)
    reached = toward.margins.reshape(count, ranks)
    ordered = candidates.gather(1, reached.argsort(dim=1, descending=True, stable=True))
    best = reached.argmax(1) + ranks * torch.arange(count, device=candidates.device)
    kept = Iterate(toward.points[best], toward.margins[best])
    lost = ascend_in_ball(rows, radius, rows.samples, objective=OBJECTIVES["ce"], steps=steps)
    with torch.no_grad():
        by_loss = rows.logits(lost.points).scatter(1, rows.labels[:, None], -torch.inf).argmax(1)
    return torch.cat([ordered[:, :1], by_loss[:, None], ordered[:, 1:]], dim=1), kept.better(lost.points, lost.margins)


def wda(rows: Rows, radius: Tensor, *, steps: int, restarts: int, candidates: Tensor) -> Iterate:
    """Ascend toward the first rivals of the probe, one per restart; rows that fell take no further part.

    Restarts beyond the number of rivals begin at random points.
    """
    rivals, kept = probed_rivals(rows, radius, candidates)
    for restart in range(restarts):
        index = (kept.margins < 0).nonzero().squeeze(1)
        if len(index) == 0:
            break
        some, reach = rows.select(index).against(rivals[index, restart % rivals.shape[1]]), radius[index]
        start = scattered(some, reach, restart) if restart >= rivals.shape[1] else some.samples
        kept = kept.put(index, ascend_in_ball(some, reach, start, objective=OBJECTIVES["margin"], steps=steps))
    return kept
