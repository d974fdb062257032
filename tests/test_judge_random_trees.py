"""Random trees on networks with flat parts: whatever the judge accepts at any node is true there, by enumeration of cells."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from tests.judge_flat import FAMILIES, random_ask
from tests.judge_liar import Liar
from wdaverify.check import tree as trees
from wdaverify.check.context import Context
from wdaverify.check.engine import Evidence, Sweep
from wdaverify.check.num import Rejected

COUNT = int(os.environ.get("JUDGE_TREES", "6"))
"""Trees of each family; more by the environment."""


def liar(family: str, seed: int) -> Liar:
    rng = random.Random(f"{family} {seed}")
    return Liar(random_ask(rng, family), rng, size=rng.choice((6, 14, 14, 25)))


@pytest.mark.parametrize("family", sorted(set(FAMILIES)))
def test_what_is_accepted_is_true(family: str) -> None:
    finished = accepted = 0
    for seed in range(COUNT):
        walk = liar(family, seed)
        for cell in random.Random(seed).sample(walk.ask.cells, min(3, len(walk.ask.cells))):
            inside = cell.inside  # both sides speak about one function
            found = walk.ask.question.program.output_values(list(inside.values[: walk.ask.net.inputs]))
            assert found == list(inside.outputs)
        try:
            walk.run()
            finished += 1
        except Rejected as error:
            assert "no leaf closes this node" in str(error)  # noqa: PT017
        accepted += walk.accepted
    assert 2 * finished >= COUNT
    assert accepted >= 10 * COUNT


def _either_phase(self: Context, n: int) -> None:
    """A neuron takes the phase that its bounds show last."""
    self.slopes[n] = None
    low, high = self.l[n], self.u[n]
    on, off = low is not None and low >= 0, high is not None and high <= 0
    mode = 1 if self.fixed[n] > 0 or on else -1 if off or self.fixed[n] < 0 else 0
    if mode != self.mode[n]:
        self.put(self.mode, n, mode)


def _rounded(ctx: Context, place: tuple[int, int]) -> list[int] | None:
    """The gradient by a sweep that rounds."""
    sweep = Sweep(ctx, Evidence())
    r, _ = sweep.run({place: Fraction(1)})
    return r if all(ctx.mode[m] for m in sweep.met) else None


def _undone(self: Context, mark: int) -> None:
    """All changes but the first are taken back."""
    while len(self.log) > mark + 1:
        where, index, old, _ = self.log.pop()
        where[index] = old


FAULTS: dict[str, tuple[Any, str, Any, str, int]] = {
    "a flat neuron takes both phases": (Context, "_renew", _either_phase, "flat", 110),
    "a rounded gradient shows a slant": (trees, "query_sweep", _rounded, "fine", 178),
    "every neuron that is off is slanted": (trees.Tree, "_slanted", lambda self, n, free: True, "flat", 15),
    "a change outlives its subtree": (Context, "undo", _undone, "small", 0),
}
"""Wrong rules, and a tree that shows each."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_rule_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trees would have shown faults that the judge has had, and others."""
    owner, name, wrong, family, seed = FAULTS[fault]
    liar(family, seed).run()
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(AssertionError):
        liar(family, seed).run()


def test_parts_are_followed() -> None:
    """Trees have parts, whose leaves count."""
    walks = [liar("small", seed) for seed in range(4)]
    parts = 0
    for walk in walks:

        def counted(fields: Any, walk: Liar = walk, part: Any = walk.tree.part) -> Iterator[Any]:
            nonlocal parts
            parts += 1
            yield from part(fields)

        walk.tree.part = counted
        walk.run()
    assert parts
