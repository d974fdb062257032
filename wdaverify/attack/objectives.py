"""What ascents climb: losses of logits z (R, K) for labels y, some of them aimed at one rival class j.

================  ====================================================================================================
``ce``            cross-entropy ``log sum_k exp(z_k) - z_y``
``margin``        ``max_{k != y} z_k - z_y``, or ``z_j - z_y`` for rows with rivals
``dlr``           difference of logits ratio ``(max_{k != y} z_k - z_y) / (z_1 - z_3)``, ``z_1 >= z_2 >= ...`` the sorted logits
``dlr-targeted``  ``(z_j - z_y) / (z_1 - (z_3 + z_4) / 2)``
================  ====================================================================================================

The ratios are those of Croce and Hein ("Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks", ICML 2020). They need three and four classes; with fewer, the last class that exists stands in, and with two, where the
ratio would be constant, it is the plain margin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from wdaverify.attack.rows import Rows


def cross_entropy(rows: Rows, outputs: Tensor) -> Tensor:
    """``log sum_k exp(z_k) - z_y``, shape (R,)."""
    return outputs.logsumexp(1) - outputs.gather(1, rows.labels[:, None]).squeeze(1)


def margin(rows: Rows, outputs: Tensor) -> Tensor:
    """The margin of the rows, shape (R,)."""
    return rows.difference(outputs)


def logits_ratio(rows: Rows, outputs: Tensor) -> Tensor:
    """The difference of logits ratio, untargeted, shape (R,)."""
    return _ratio(rows.against(None).difference(outputs), outputs, 3)


def targeted_logits_ratio(rows: Rows, outputs: Tensor) -> Tensor:
    """The difference of logits ratio for the rival of each row, shape (R,)."""
    return _ratio(rows.difference(outputs), outputs, 4)


def _ratio(difference: Tensor, outputs: Tensor, places: int) -> Tensor:
    """The difference over the largest logit less the mean of the third to the last of `places` logits."""
    classes = outputs.shape[1]
    if classes < 3:
        return difference
    largest = outputs.topk(min(places, classes), dim=1).values
    spread = largest[:, 0] - largest[:, 2:].mean(1)
    return difference / spread.clamp(min=torch.finfo(outputs.dtype).eps)


OBJECTIVES: dict[str, Callable[[Rows, Tensor], Tensor]] = {
    "ce": cross_entropy,
    "margin": margin,
    "dlr": logits_ratio,
    "dlr-targeted": targeted_logits_ratio,
}
