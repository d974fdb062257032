"""How many rows fit into memory at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from wdaverify.attack.victim import Victim

_CPU_BYTES = 1 << 30
"""Memory that a batch may take on the CPU."""

_CPU_ROWS = 8192
"""More rows at once are no faster on a CPU."""

_GPU_ROWS = 1 << 18

_GPU_SHARE = 0.5
"""Part of the free memory of a GPU that a batch may take."""

_POINTS = 24
"""Arrays of the size of the points that an ascent holds at once."""


def rows_that_fit(victim: Victim) -> int:
    """The number of rows that fit: by what autograd keeps for one row, in float32 and, for a third of the rows, in float64."""
    per_row = 2 * (_kept_per_row(victim) + 4 * _POINTS * victim.inputs)
    if victim.device.type == "cpu":
        return max(1, min(_CPU_ROWS, _CPU_BYTES // per_row))
    free, _ = torch.cuda.mem_get_info(victim.device)
    return max(1, min(_GPU_ROWS, int(_GPU_SHARE * free) // per_row))


def _kept_per_row(victim: Victim) -> int:
    """Bytes that the graph of one forward pass keeps per row: the difference between four rows and two."""
    kept = []
    for rows in (2, 4):
        sizes: list[int] = []

        def note(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel() * tensor.element_size())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            victim.rough(torch.zeros((rows, victim.inputs), device=victim.device, requires_grad=True))
        kept.append(sum(sizes))
    return max(1, (kept[1] - kept[0]) // 2)
