"""The stages in which the judge lowers a model: their kinds and sizes, which every proof names.

The judge lowers the model itself, here as there: what it reads, and no other model, can be proved. Its neurons must be those of
our own network in the same order, because records name neurons. Both sides lower every piecewise-linear operator by the same
formulas (`ir.lowering.piecewise`, `check.lower_piecewise`) in code that they do not share; where they disagree on what is a
neuron at all, as on ends of a clip that mean none, the numbers differ, and there is no proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.check.model import program_of
from wdaverify.check.num import Unreadable

if TYPE_CHECKING:
    from wdaverify.ir.network import Network

SECONDS = 1e-5
"""What the judge needs to lower a coefficient, at most."""


def stages_of(network: Network) -> list[str] | str:
    """Kind and size of each stage, or why there can be no proof about the model.

    Parameters
    ----------
    network
        Read from a file.

    Examples
    --------
    >>> import numpy as np
    >>> from wdaverify.ir.load import load
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input
    >>> from wdaverify.ir.to_onnx import to_onnx
    >>> from scipy.sparse import csr_array
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> double = Affine((csr_array(np.array([[2.0]])),), np.array([0.5]))
    >>> with TemporaryDirectory() as folder:
    ...     to_onnx(Network.from_nodes({"x": Node(Input(1)), "y": Node(double, ("x",))}, "y"), Path(folder) / "m.onnx")
    ...     stages_of(load(Path(folder) / "m.onnx"))  # a product and a sum
    ['A1', 'A1']
    """
    assert network.source is not None
    name = network.source.file
    try:
        program = program_of(network.source.content, name)
    except Unreadable as error:
        return f"the judge cannot read the model: {error}"
    if len(program.neurons) != network.relus:
        return f"{name} has {network.relus} neurons for the search and {len(program.neurons)} for the judge (see docs/trust.md)"
    return program.names()


def seconds_to_lower(network: Network) -> float:
    """About the time that `stages_of` takes; the judge takes it again."""
    return SECONDS * float(sum(m.nnz for op in map(network.op, network.order) for m in getattr(op, "matrices", ())))
