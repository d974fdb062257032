"""Take up the findings of an earlier run, none of them on trust: every point is judged again.

A file that carries the right hash may still come from other code (a hash sees weights and structure, not what a forward pass
does) or have been edited. So the logits of the model that is attacked now are compared with the recorded ones at the samples and
at the points, distances are measured again, and a point counts only if it is an error now. Where mere rounding speaks against it,
as it may between batch sizes or devices, its sample is attacked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify.attack.journal import FinishedBatch, refused
from wdaverify.attack.settle import distances_up

if TYPE_CHECKING:
    from pathlib import Path

    from wdaverify._types import BoolArray, IntArray, Matrix, Norm
    from wdaverify.attack.findings import Findings
    from wdaverify.attack.victim import Victim
    from wdaverify.dataset import Dataset


def confirmed_again(
    batch: FinishedBatch, file: Path, victim: Victim, data: Dataset, *, ends: tuple[Matrix, Matrix], norm: Norm
) -> BoolArray:
    """Which samples of a batch (B,) are done: their point, if they have one, is an error now.

    Parameters
    ----------
    file
        For messages.
    ends
        Of the boxes of the batch's samples, (B, n) each.

    Raises
    ------
    InputError
        If the model gives other logits than the file says, or a point lies elsewhere than it says.
    """
    x, labels, known = data.x[batch.index], data.y[batch.index], np.isfinite(batch.distances)
    points = np.where(known[:, None], batch.points, x)
    outputs = victim.judge(points)
    same = victim.agree(victim.judge(x), batch.at_samples) & (victim.agree(outputs, batch.at_points) | ~known)
    if not same.all():
        raise InputError(f"{file}: this journal belongs to a model that computes something else; give another folder")
    inside = ((points >= ends[0]) & (points <= ends[1])).all(axis=1)
    if not (inside & ((distances_up(points, x, norm) == batch.distances) | ~known)).all():
        raise refused(f"{file}: has a point outside the domain, or at another distance than it says")
    others = np.take_along_axis(outputs, np.maximum(batch.targets, 0)[:, None], axis=1)[:, 0]
    scale = victim.rounding * np.abs(outputs).max(axis=1)
    leads = (others >= outputs[np.arange(len(x)), labels] - scale) & (batch.targets != labels)
    if not (leads | ~known).all():
        raise refused(f"{file}: has a point that is no error")
    return np.asarray(victim.errs(points, labels, outputs) | ~known)


def finished(index: IntArray, findings: Findings, victim: Victim, data: Dataset, counts: tuple[int, int]) -> FinishedBatch:
    """What a batch came to, for the journal."""
    distances, points = findings.distances[index], findings.points[index]
    known = np.isfinite(distances)[:, None]
    at_points = np.where(known, victim.judge(np.where(known, points, data.x[index])), np.nan)
    return FinishedBatch(
        index=np.asarray(index, dtype=np.int64),
        distances=distances,
        targets=findings.targets[index],
        points=points,
        parts=findings.parts[index],
        at_samples=victim.judge(data.x[index]),
        at_points=at_points,
        counts=np.array(counts, dtype=np.int64),
    )
