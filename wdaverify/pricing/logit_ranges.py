"""How far logits lie apart on the points that a question is about, and the regions of logits that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.domain import Regions
from wdaverify.pricing.softmax_rows import LogitRegion

if TYPE_CHECKING:
    from wdaverify._types import Matrix
    from wdaverify.pricing.prices import PriceQuestion


def logit_ranges(question: PriceQuestion) -> Matrix:
    """Proved upper bounds (K, K) of ``f_c - f_j`` in row c and column j, over the points of the domain within reach."""
    network, classes = question.network, question.network.outputs
    regions = Regions.of_box(question.domain, network.inputs)
    if np.isfinite(question.reach) and question.cost.scales is None:
        regions = Regions.balls(question.domain, question.center[None], question.reach, question.cost.norm)
    pairs = [(c, j) for c in range(classes) for j in range(classes) if c != j]
    forms = np.zeros((len(pairs), classes))
    for row, (c, j) in zip(forms, pairs, strict=True):
        row[c], row[j] = 1.0, -1.0
    upper = np.zeros((classes, classes))
    found = crown_objectives(network, regions, crown_bounds(network, regions), forms)[0]
    for (c, j), value in zip(pairs, found.tolist(), strict=True):
        upper[c, j] = value
    return upper


def leading_regions(question: PriceQuestion) -> list[LogitRegion]:
    """Regions, one per class that can lead, that hold the logits of all points of the question."""
    ranges = logit_ranges(question)
    regions = []
    for leader in range(len(ranges)):
        lower, upper = -ranges[leader], np.minimum(ranges[:, leader], 0.0)
        if (lower <= upper).all():
            regions.append(LogitRegion(leader, lower + 0.0, upper))
    return regions
