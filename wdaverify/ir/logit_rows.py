"""A linear form of the logits as a network of two outputs, the first of which is 0.

The margin of label 0 of that network is the form: whatever bounds margins bounds forms of logits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from wdaverify._errors import ModelError
from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine

if TYPE_CHECKING:
    from wdaverify._types import Vector


def with_logit_row(network: Network, coefficients: Vector) -> Network:
    """The network ``x -> (0, coefficients . f(x))``, in exact arithmetic over the coefficients as given.

    Parameters
    ----------
    coefficients
        Shape (K,), finite.

    Raises
    ------
    ModelError
        If the shape does not fit the network or a coefficient is not finite.

    Examples
    --------
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Input
    >>> logits = Affine((csr_array(np.array([[1.0], [-1.0]])),), np.array([0.0, 2.0]))
    >>> network = Network.from_nodes({"x": Node(Input(1)), "f": Node(logits, ("x",))}, "f")
    >>> with_logit_row(network, np.array([-1.0, 1.0])).compiled.forward(np.array([[3.0]])).tolist()
    [[0.0, -4.0]]
    """
    if coefficients.shape != (network.outputs,) or not np.isfinite(coefficients).all():
        raise ModelError(f"a form of {network.outputs} logits needs as many finite coefficients, not {coefficients}")
    matrix = csr_array(np.stack([np.zeros(network.outputs), coefficients]))
    nodes = {name: network.node(name) for name in network.order}
    name = "logit row"
    while name in nodes:
        name += "'"
    nodes[name] = Node(Affine((matrix,), np.zeros(2)), (network.output,))
    return Network.from_nodes(nodes, name, input_shape=network.input_shape)
