"""Losses as networks: margin and hinge of a classifier, built of ReLUs behind its logits.

With ``max(a, b) = a + max(0, b - a)`` the margin ``m(x, y) = max_{j != y} f_j(x) - f_y(x)`` is a network of one output and K - 2
further ReLUs, and the hinge ``max(0, 1 + m)`` of one more. So their exact Lipschitz constants, which are smaller than that of
``label:y`` where the best rival is never the steepest one (docs/theory.md, "Lipschitz constants"), are those of one output: a
full-dimensional cell of the margin network lies where one rival j is the largest, and its gradient is that of ``f_j - f_y``.
Every coefficient added is 1 or -1; the network's own stay as stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify.ir import expression as ex
from wdaverify.ir.builder import GraphBuilder
from wdaverify.ir.lowering.piecewise import fold_max

if TYPE_CHECKING:
    from wdaverify.ir.expression import Expression
    from wdaverify.ir.network import Network


def margin_network(network: Network, label: int) -> Network:
    """``m(x) = max_{j != label} f_j(x) - f_label(x)`` as a network of one output.

    Raises
    ------
    InputError
        If the label is none of the network's, or the network has one output.

    Examples
    --------
    >>> builder = GraphBuilder(3)
    >>> logits = builder.finish(builder.scale(builder.input, np.array([1.0, 2.0, 3.0])))
    >>> network = margin_network(logits, 0)
    >>> network.relus, network.compiled.forward(np.array([[1.0, 5.0, 3.0], [4.0, 1.0, 1.0]])).tolist()
    (1, [[9.0], [-1.0]])
    """
    builder, margin = _margin(network, label)
    return builder.finish(margin, input_shape=network.input_shape, notes=network.notes)


def hinge_network(network: Network, label: int) -> Network:
    """``max(0, 1 + m(x))``, m as in `margin_network`.

    Raises
    ------
    InputError
        As `margin_network`.

    Examples
    --------
    >>> builder = GraphBuilder(2)
    >>> network = hinge_network(builder.finish(builder.scale(builder.input, np.ones(2))), 0)
    >>> network.compiled.forward(np.array([[3.0, 2.5], [3.0, 0.0]])).tolist()
    [[0.5], [0.0]]
    """
    builder, margin = _margin(network, label)
    hinge = builder.relu(builder.add(margin, ex.constant(np.ones(1))))
    return builder.finish(hinge, input_shape=network.input_shape, notes=network.notes)


def _margin(network: Network, label: int) -> tuple[GraphBuilder, Expression]:
    """A builder behind the logits, and the margin as its form."""
    if network.outputs == 1:
        raise InputError("a margin needs at least two outputs, and the network has one")
    if not 0 <= label < network.outputs:
        raise InputError(f"label {label} does not exist: the network has outputs 0 to {network.outputs - 1}")
    builder, logits = GraphBuilder.continuing(network)
    builder = builder.named("margin")
    rivals = np.array([[j for j in range(network.outputs) if j != label]])
    return builder, builder.subtract(fold_max(builder, logits, rivals), ex.take(logits, np.array([label])))
