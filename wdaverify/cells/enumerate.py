"""All cells of a network on a box: the public call."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify.cells.cell import activation_cell
from wdaverify.cells.layer_search import FoundCells, LayerSearch
from wdaverify.program.backend import get_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._types import BoolArray, Matrix, Vector
    from wdaverify.cells.cell import ActivationCell
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network


@dataclass(frozen=True, eq=False)
class Cell:
    """One full-dimensional activation cell ``{x in the domain: rows @ x + offsets >= 0}``; on it ``f(x) = weight @ x + bias``.

    Attributes
    ----------
    phases
        The pattern (neurons,), numbered as in `Network.compiled`; true where a neuron is active. A neuron that is 0 on the
        whole cell counts as active.
    point
        In the interior, shape (n,): strictly inside the domain, and every neuron that does not vanish identically has the
        strict sign of its phase there in exact arithmetic.
    """

    phases: BoolArray
    point: Vector
    _network: Network = field(repr=False)

    @cached_property
    def _piece(self) -> ActivationCell:
        return activation_cell(self._network.compiled, self.phases)

    @property
    def pattern(self) -> dict[str, BoolArray]:
        """The phases by ReLU node."""
        compiled = self._network.compiled
        return {compiled.names[step.slot]: self.phases[step.neurons] for step in compiled.relus}

    @property
    def rows(self) -> Matrix:
        """Signed gradients of all pre-activations, (neurons, n), in float64."""
        return self._piece.rows

    @property
    def offsets(self) -> Vector:
        """Their constants, (neurons,)."""
        return self._piece.offsets

    @property
    def weight(self) -> Matrix:
        """The Jacobian of the network, (K, n), in float64."""
        return self._piece.weight

    @property
    def bias(self) -> Vector:
        """The constants of the logits, (K,)."""
        return self._piece.bias


@dataclass(frozen=True, slots=True, eq=False)
class OpenPart:
    """A part of the domain that was not enumerated: all points where the decided neurons have these phases.

    Attributes
    ----------
    phases, decided
        Shape (neurons,); the phases of neurons that are not decided mean nothing.
    """

    phases: BoolArray
    decided: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What an enumeration found; it is iterated like the tuple of its cells.

    Attributes
    ----------
    cells
        Full-dimensional cells, each once; patterns that differ in identically vanishing neurons alone are one cell.
    open
        Where more cells may be: time ran out, or a sliver could not be decided.
    """

    cells: tuple[Cell, ...]
    open: tuple[OpenPart, ...]

    @property
    def complete(self) -> bool:
        """Whether these are all full-dimensional cells; that is proved."""
        return not self.open

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells)

    def __getitem__(self, index: int) -> Cell:
        return self.cells[index]

    def __str__(self) -> str:
        return f"{len(self)} cells" if self.complete else f"at least {len(self)} cells, {len(self.open)} parts open"


def cells(
    network: Network, domain: Box, *, limit: int = 1_000_000, time_limit: float | None = None, solver: str = "highs"
) -> Cells:
    """Enumerate the activation cells of a network that have an interior in a bounded domain.

    Every cell returned was checked in exact arithmetic. That there is no other one is proved as well, in real arithmetic over
    the stored weights: each part of the domain that is left out comes with multipliers by which it has no interior point, checked
    with all roundings charged, or in rational arithmetic.

    Parameters
    ----------
    domain
        With finite ends. Coordinates whose ends are equal are fixed: *interior* then means the other ones.
    limit
        Most cells to keep.
    time_limit
        Seconds after which the rest is returned as open parts.
    solver
        Backend of the few linear programs that decide slivers.

    Raises
    ------
    DomainError
        If the domain is unbounded, or has another number of coordinates than the network has inputs.
    InputError
        If there are more cells than the limit, or an option is out of its range.

    Examples
    --------
    ``relu(x) - relu(-x)`` is x; its two neurons are active together at 0 only, which is no cell:

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.domain import Box
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, -1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> found = cells(Network.from_nodes(nodes, "y"), Box(-1, 1))
    >>> found.complete, [(cell.phases.tolist(), cell.weight.tolist()) for cell in found]
    (True, [([True, False], [[1.0]]), ([False, True], [[1.0]])])
    """
    if isinstance(limit, bool) or limit < 1:
        raise InputError(f"limit {limit} is not a number of cells >= 1")
    if time_limit is not None and not (math.isfinite(time_limit) and time_limit > 0):
        raise InputError(f"time_limit {time_limit} is not a positive number of seconds")
    search = LayerSearch(get_backend(solver), network, domain.sized(network.inputs), Deadline.after(time_limit))
    found: list[Cell] = []
    rest: list[OpenPart] = []
    for part in search.cells():
        if isinstance(part, FoundCells):
            found += [Cell(phases, point, network) for phases, point in zip(part.phases, part.points, strict=True)]
        else:
            rest.append(OpenPart(part.phases, part.decided))
        if len(found) > limit:
            raise InputError(f"more than {limit} cells: take a smaller domain or a higher limit")
    return Cells(tuple(found), tuple(rest))
