"""Assemble a network from high-level exact steps."""

from __future__ import annotations

from bisect import bisect_right
from copy import copy
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from wdaverify._errors import ModelError
from wdaverify.ir import expression as ex
from wdaverify.ir.network import ModelSource, Network, Node
from wdaverify.ir.ops import Affine, Input, Op, Relu
from wdaverify.ir.values import Values, to_fractions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray, SparseMatrix
    from wdaverify.ir.expression import Expression


class GraphBuilder:
    """Collects nodes while a model is read, and composes affine steps as long as no float is rounded.

    The steps take and return `Expression` objects. Selections, sums and maps of references stay symbolic; a node is
    created when a ReLU or the output needs one, or when composing two maps would round a coefficient.

    Parameters
    ----------
    size
        Number of input coordinates.

    Examples
    --------
    >>> builder = GraphBuilder(2)
    >>> hidden = builder.relu(builder.add(builder.input, builder.input))
    >>> print(builder.finish(hidden))
    2 inputs, 2 outputs, 2 ReLUs in 1 layers
    """

    def __init__(self, size: int, *, input_name: str = "input") -> None:
        self._label = ""
        self.nodes: dict[str, Node] = {}
        self._names: list[str] = []
        self._starts: list[int] = []
        self._notes: list[str] = []
        self.input = self._emit(input_name, Input(size), ())

    @staticmethod
    def continuing(network: Network) -> tuple[GraphBuilder, Expression]:
        """A builder that holds all nodes of a network under their names, and the network's outputs as forms.

        Examples
        --------
        >>> builder = GraphBuilder(2)
        >>> network = builder.finish(builder.relu(builder.input))
        >>> more, logits = GraphBuilder.continuing(network)
        >>> print(more.finish(more.relu(more.scale(logits, np.array([1.0, -1.0])))))
        2 inputs, 2 outputs, 4 ReLUs in 2 layers
        """
        builder = GraphBuilder(network.inputs, input_name=network.input)
        for name in network.order:
            if name != network.input:
                builder._add(name, network.op(name), network.sources(name))
        start = builder._starts[builder._names.index(network.output)]
        return builder, ex.variables(start, network.outputs, network.output)

    @property
    def label(self) -> str:
        """What new nodes are called."""
        return self._label

    def named(self, label: str) -> GraphBuilder:
        """A view of the same graph that calls its new nodes `label`; nodes and notes are shared."""
        view = copy(self)
        view._label = label
        return view

    def note(self, text: str) -> None:
        """Record, once, what the user should know about the reading of the model: see `Network.notes`."""
        if text not in self._notes:
            self._notes.append(text)

    def reference(self, operand: Expression) -> Expression:
        """The same forms as variables and constants; creates an affine node unless they already are."""
        if operand.is_reference:
            return operand
        keep = np.flatnonzero(operand.variable)
        forms = ex.take(operand, keep)
        affine, sources = self._affine(forms)
        return self._scatter(self._emit(operand.label or self.label, affine, sources), keep, operand.bias)

    def relu(self, operand: Expression) -> Expression:
        """``max(0, .)`` of each form. Constant forms are folded and give no neuron."""
        keep = np.flatnonzero(operand.variable)
        folded = np.where(operand.bias > 0, operand.bias, 0 * operand.bias)
        if not len(keep):
            return ex.constant(folded, self.label)
        forms = ex.take(operand, keep)
        source = self._whole_node(forms)
        if source is None or not isinstance(self.nodes[source].op, Affine):  # a ReLU always reads an affine node
            affine, sources = self._affine(forms)
            source = self._fresh(operand.label or self.label)
            self._add(source, affine, sources)
        return self._scatter(self._emit(self.label, Relu(len(keep)), (source,)), keep, folded)

    def linear(self, entries: tuple[IntArray, IntArray, Values], operand: Expression, bias: Values) -> Expression:
        """``M operand + bias`` with M given by rows, columns and values of its entries."""
        return ex.apply(entries, self.reference(operand), bias, self.label)

    def add(self, *operands: Expression) -> Expression:
        """The elementwise sum of forms of equal size."""
        total = ex.add(operands, self.label)
        if total.is_float or not all(e.is_float for e in operands):
            return total
        return ex.add([self.reference(e) for e in operands], self.label)

    def scale(self, operand: Expression, factors: Values) -> Expression:
        """Each form times its factor, shape (size,)."""
        scaled = ex.scale(operand, factors, self.label)
        if scaled.is_float or operand.is_reference:
            return scaled
        return ex.scale(self.reference(operand), factors, self.label)

    def subtract(self, a: Expression, b: Expression) -> Expression:
        """``a - b``."""
        return self.add(a, self.scale(b, np.full(b.size, -1.0)))

    def finish(
        self,
        output: Expression,
        *,
        input_shape: Sequence[int] | None = None,
        notes: Sequence[str] = (),
        source: ModelSource | None = None,
    ) -> Network:
        """The network whose output is the given forms; the output node is always affine.

        Raises
        ------
        ModelError
            If the output is empty or a coefficient exceeds the range of float64.
        """
        if output.size == 0:
            raise ModelError("the output has no elements")
        whole = self._whole_node(output)
        if whole is not None and isinstance(self.nodes[whole].op, Affine):
            name = whole
        else:
            affine, sources = self._affine(output)
            name = self._fresh(output.label or "output")
            self._add(name, affine, sources)
        return Network.from_nodes(self.nodes, name, input_shape=input_shape, notes=[*notes, *self._notes], source=source)

    def _whole_node(self, forms: Expression) -> str | None:
        """The node whose elements the forms are, in order, or None."""
        if forms.is_constant or not forms.is_reference or len(forms.rows) != forms.size:
            return None
        position = bisect_right(self._starts, int(forms.columns[0])) - 1
        name, start = self._names[position], self._starts[position]
        if self.nodes[name].op.size != forms.size or not np.array_equal(forms.columns, np.arange(start, start + forms.size)):
            return None
        return name

    def _affine(self, forms: Expression) -> tuple[Affine, tuple[str, ...]]:
        """The affine op that computes the forms, and its sources in order of creation."""
        owner = np.searchsorted(np.array(self._starts), forms.columns, side="right") - 1
        used = np.unique(owner)
        if not len(used):
            used = np.zeros(1, dtype=owner.dtype)  # a constant output still reads the input, with weight 0
        matrices: list[SparseMatrix] = []
        data: list[Values] = []
        for k in used:
            mask = owner == k
            columns = forms.columns[mask] - self._starts[k]
            starts = np.searchsorted(forms.rows[mask], np.arange(forms.size + 1))
            shape = (forms.size, self.nodes[self._names[k]].op.size)
            floats = forms.values[mask].astype(np.float64) if forms.is_float else np.ones(len(columns))
            matrices.append(csr_array((floats, columns, starts), shape=shape))
            data.append(forms.values[mask])
        affine = Affine(tuple(matrices), forms.bias) if forms.is_float else self._exact_affine(forms, matrices, data)
        if not all(np.isfinite(part).all() for part in (*(m.data for m in affine.matrices), affine.bias)):
            raise ModelError(f"a coefficient of '{forms.label or self.label}' exceeds the range of float64")
        return affine, tuple(self._names[k] for k in used)

    def _exact_affine(self, forms: Expression, matrices: list[SparseMatrix], data: list[Values]) -> Affine:
        try:
            return Affine.from_fractions(matrices, [list(to_fractions(d)) for d in data], list(to_fractions(forms.bias)))
        except OverflowError:
            raise ModelError(
                f"the coefficients of '{forms.label or self.label}' have too many different denominators for exact arithmetic "
                "(a division by many constants?); multiply by stored reciprocals instead"
            ) from None

    def _scatter(self, values: Expression, keep: IntArray, bias: Values) -> Expression:
        """References at the rows `keep`, the constants of `bias` elsewhere."""
        rest = bias.copy()
        rest[keep] = 0 * rest[keep]
        return ex.Expression(keep.astype(np.int64), values.columns, values.values, rest, values.label)

    @property
    def _end(self) -> int:
        """The number of the next variable."""
        return self._starts[-1] + self.nodes[self._names[-1]].op.size if self._names else 0

    def _fresh(self, hint: str) -> str:
        name, k = hint or "node", 1
        while name in self.nodes:
            k += 1
            name = f"{hint or 'node'}.{k}"
        return name

    def _add(self, name: str, op: Op, sources: tuple[str, ...]) -> None:
        start = self._end
        self.nodes[name] = Node(op, sources)
        self._names.append(name)
        self._starts.append(start)

    def _emit(self, hint: str, op: Op, sources: tuple[str, ...]) -> Expression:
        """Add a node under a fresh name and return its variables."""
        name, start = self._fresh(hint), self._end
        self._add(name, op, sources)
        return ex.variables(start, op.size, name)
