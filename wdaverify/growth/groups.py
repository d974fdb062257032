"""Functionals that are answered together, and how a time limit is shared among such groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wdaverify.functionals import Functional


def groups(functionals: Sequence[Functional]) -> Iterator[list[Functional]]:
    """Those that share a network together, every loss by itself."""
    shared = [f for f in functionals if f.loss is None]
    if shared:
        yield shared
    for functional in functionals:
        if functional.loss is not None:
            yield [functional]


def work(group: Sequence[Functional]) -> int:
    """Weight of a group in sharing out time: its linear forms."""
    return sum(len(functional.plus) for functional in group)
