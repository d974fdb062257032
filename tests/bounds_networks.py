"""Networks with random coefficients, one of every kind that bounds must cope with."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Input, Relu


def affine(matrix, bias=None):
    matrix = np.atleast_2d(np.asarray(matrix, dtype=np.float64))
    return Affine((csr_array(matrix),), np.zeros(len(matrix)) if bias is None else np.asarray(bias, dtype=np.float64))


def chain(*ops):
    """``ops`` one after the other, a ReLU between two of them."""
    nodes, previous = {"x": Node(Input(ops[0].matrices[0].shape[1]))}, "x"
    for k, op in enumerate(ops):
        nodes[f"z{k}"] = Node(op, (previous,))
        previous = f"z{k}"
        if k < len(ops) - 1:
            nodes[f"a{k}"] = Node(Relu(op.size), (previous,))
            previous = f"a{k}"
    return Network.from_nodes(nodes, previous)


def mlp(rng, sizes, scale=1.0):
    return chain(*(affine(scale * rng.normal(size=(b, a)), 0.3 * scale * rng.normal(size=b)) for a, b in pairwise(sizes)))


def residual(rng):
    """x -> z -> a; h = W a + S x; two ReLUs read h, one of them through another sum; the output reads three nodes."""
    draw = lambda m, n: csr_array(rng.normal(size=(m, n)))  # noqa: E731
    nodes = {
        "x": Node(Input(4)),
        "z": Node(Affine((draw(5, 4),), rng.normal(size=5)), ("x",)),
        "a": Node(Relu(5), ("z",)),
        "h": Node(Affine((draw(5, 5), draw(5, 4)), rng.normal(size=5)), ("a", "x")),
        "b": Node(Relu(5), ("h",)),
        "g": Node(Affine((csr_array(np.eye(5)), csr_array(np.eye(5)), csr_array(np.eye(5))), np.zeros(5)), ("a", "h", "h")),
        "c": Node(Relu(5), ("g",)),
        "d": Node(Relu(5), ("c",)),
        "y": Node(Affine((draw(3, 5), draw(3, 5), draw(3, 4)), rng.normal(size=3)), ("b", "d", "x")),
    }
    return Network.from_nodes(nodes, "y")


def convolutional(rng):
    """Two banded layers, as a one-dimensional convolution of width 3 gives them, large enough for the sparse path."""
    band = lambda n: csr_array(sum(np.eye(n, k=k) * w for k, w in zip((-1, 0, 1), rng.normal(size=3), strict=True)))  # noqa: E731
    return chain(
        Affine((band(66),), 0.1 * rng.normal(size=66)),
        Affine((band(66),), 0.1 * rng.normal(size=66)),
        affine(rng.normal(size=(3, 66))),
    )


def rational(rng):
    """Coefficients that no float64 holds: thirds, sevenths and one below the normal range."""

    def op(rows, columns, tiny=False):
        values = [Fraction(int(v), 21) for v in rng.integers(-20, 21, size=rows * columns)]
        if tiny:
            values[0] = Fraction(1, 3 * 2**1070)
        pattern = csr_array(np.ones((rows, columns)))
        return Affine.from_fractions([pattern], [values], [Fraction(int(v), 9) for v in rng.integers(-9, 10, size=rows)])

    return chain(op(5, 4), op(4, 5, tiny=True), op(3, 4))


def with_dead_neurons(rng):
    first = affine(np.vstack([rng.normal(size=(3, 3)), np.zeros((2, 3))]), [-1e3, 1e3, 0.0, 0.0, -1.0])
    return chain(first, affine(rng.normal(size=(2, 5)), rng.normal(size=2)))


NETWORKS = {
    "affine": lambda rng: mlp(rng, (4, 3)),
    "one relu": lambda rng: mlp(rng, (3, 1, 2)),
    "one hidden layer": lambda rng: mlp(rng, (4, 6, 3)),
    "three hidden layers": lambda rng: mlp(rng, (3, 5, 4, 5, 3)),
    "large weights": lambda rng: mlp(rng, (4, 5, 5, 2), 2.0**20),
    "small weights": lambda rng: mlp(rng, (4, 5, 5, 2), 2.0**-20),
    "residual": residual,
    "convolutional": convolutional,
    "rational": rational,
    "flat": lambda rng: chain(affine(np.zeros((2, 3)), [1.0, -1.0]), affine(rng.normal(size=(2, 2)))),
    "dead neurons": with_dead_neurons,
}


def two_neurons():
    """z = (x1 + x2 + 1, x1 - x2), output (a1 + a2, a1)."""
    return chain(affine([[1, 1], [1, -1]], [1, 0]), affine([[1, 1], [1, 0]]))
