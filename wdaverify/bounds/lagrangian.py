"""Any multipliers give a bound: the Lagrangian dual of a network's layers, evaluated with every rounding charged.

Let ``z = W y + b`` define the pre-activations of every layer and ``y = relu(z)`` its outputs. Pricing each definition of z
with a multiplier vector pi and maximising the rest separately gives, for **every** choice of pi,

    c . f(x)  <=  sum_layers pi . b  +  sum_n max{ r_n relu(z) - pi_n z : l_n <= z <= u_n }  +  max{ r_x . x : x in X }

where the *adjoint* ``r = W^T pi`` of a layer's outputs (r_x of the input) collects the multipliers of all its readers, and
the readers of the logits have pi = c (Dvijotham et al., *A dual approach to scalable verification of deep networks*, UAI
2018). The inner maximum is at ``l``, ``u`` or 0, so that a phase that was decided is nothing but ``l = 0`` or ``u = 0``.

The choices of pi are what bounds differ in. The slope of a chord times r is the backward linear bound (CROWN); the dual
values of a linear program are its optimum. Nobody has to be trusted with them: a bad one weakens the bound.

Rounding: an adjoint is a computed float vector and counts as exact, because what its product ``pi W`` lost changes the
bound by at most ``gamma |pi| (|W| |y| + |b|)``, which is charged through bounds of |y| (`Charges`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.bounds.rounding import INFLATION, LEAST, gamma, underflow
from wdaverify.ir.compiled import AffineStep, InputStep, ReluStep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wdaverify._types import Matrix, Vector
    from wdaverify.ir.compiled import CompiledNetwork, Step

    Chooser = Callable[[ReluStep, Matrix], tuple[Matrix, Matrix, Matrix]]
    """From a ReLU step and the adjoints (R, size) of its outputs to the multipliers pi and the bounds l, u (R or 1, size)."""

    Pricer = Callable[[ReluStep, Matrix], "Prices"]
    """The same, with the inner maxima already taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Charges:
    """What roundings may cost on a region, per slot of a compiled network.

    Attributes
    ----------
    vectors
        For an affine slot the vector (size,) whose product with ``|pi|`` bounds the loss of one step; else ``None``.
    floors
        The same for underflow, one number a slot.
    magnitudes
        Bounds (size,) of the absolute values of each slot.
    """

    vectors: tuple[Vector | None, ...]
    floors: tuple[float, ...]
    magnitudes: tuple[Vector, ...]

    @staticmethod
    def of(compiled: CompiledNetwork, magnitudes: Sequence[Vector]) -> Charges:
        """The charges where every slot's values are at most `magnitudes` in absolute value."""
        charges = Charges((), (), ())
        for step, magnitude in zip(compiled.steps, magnitudes, strict=True):
            charges = charges.extended(step, magnitude)
        return charges

    def extended(self, step: Step, magnitude: Vector) -> Charges:
        """The charges with those of the next slot, whose values are at most `magnitude` (size,)."""
        vector, floor = None, 0.0
        if isinstance(step, AffineStep):
            total, reach = np.abs(step.bias), 1.0
            with np.errstate(over="ignore", invalid="ignore"):
                for factor, source in zip(step.factors, step.sources, strict=True):
                    total = total + factor.sizes @ self.magnitudes[source]
                    reach += float(self.magnitudes[source].sum())
                # prices may be huge: an error term that underflows would be lost with them
                vector = gamma(step.terms + 6) * total * INFLATION + LEAST * (1.0 + reach)
            floor = float(underflow(step.terms, np.full(1, reach))[0])
        return Charges((*self.vectors, vector), (*self.floors, floor), (*self.magnitudes, magnitude))


class Prices(NamedTuple):
    """What a ReLU step costs at chosen multipliers.

    Attributes
    ----------
    multipliers
        pi, shape (R, size).
    total, size
        Shape (R,): the sum over the neurons of upper bounds of ``max{r relu(z) - pi z}``, each within a few relative roundings,
        and the sum of their absolute values.
    """

    multipliers: Matrix
    total: Vector
    size: Vector


class Pulled(NamedTuple):
    """Linear forms of the input: for every x of the region ``form <= coefficients . x + constant + error``."""

    coefficients: Matrix
    constant: Vector
    error: Vector


def pull_back(compiled: CompiledNetwork, charges: Charges, seeds: Mapping[int, Matrix], choose: Chooser) -> Pulled:
    """Bound ``sum_s seeds[s] . value(s)`` from above by linear forms of the input.

    Parameters
    ----------
    charges
        Of a set that contains the region of every row.
    seeds
        Slot to rows (R, size of the slot); the forms are sums over the slots.
    choose
        Gives the multipliers of a ReLU step.

    Returns
    -------
    Pulled
        Coefficients (R, n), constants and errors (R,); ``error`` is nonnegative and belongs on top.
    """

    def price(step: ReluStep, rows: Matrix) -> Prices:
        pi, lower, upper = choose(step, rows)
        terms = best_of_neurons(rows, pi, lower, upper)
        return Prices(pi, terms.sum(axis=1), np.abs(terms).sum(axis=1))

    return pull_back_priced(compiled, charges, seeds, price)


def pull_back_priced(compiled: CompiledNetwork, charges: Charges, seeds: Mapping[int, Matrix], price: Pricer) -> Pulled:
    """As `pull_back`, for choices whose inner maxima are known without taking them."""
    rows_count = len(next(iter(seeds.values())))
    pending = dict(seeds)
    constant, error = np.zeros(rows_count), np.zeros(rows_count)
    for step in reversed(compiled.steps):
        rows = pending.pop(step.slot, None)
        if rows is None:
            continue
        if isinstance(step, InputStep):
            return Pulled(rows, constant, error * INFLATION)
        if isinstance(step, AffineStep):
            vector = charges.vectors[step.slot]
            assert vector is not None
            error += np.abs(rows) @ vector + charges.floors[step.slot]
            constant = constant + rows @ step.bias
            pulled = [(s, f.pull(rows)) for s, f in zip(step.sources, step.factors, strict=True)]
        else:
            prices = price(step, rows)
            constant = constant + prices.total
            error += gamma(step.size + 8) * prices.size + underflow(step.size, np.zeros(1))
            pulled = [(step.source, prices.multipliers)]
        error += UNIT_ROUNDOFF * np.abs(constant)
        for slot, more in pulled:
            if slot in pending:
                more = pending[slot] + more
                error += UNIT_ROUNDOFF * (np.abs(more) @ charges.magnitudes[slot])
            pending[slot] = more
    return Pulled(np.zeros((rows_count, compiled.inputs)), constant, error * INFLATION)


def best_of_neurons(rows: Matrix, pi: Matrix, lower: Matrix, upper: Matrix) -> Matrix:
    """``max{r relu(z) - pi z : l <= z <= u}`` per entry, each within a few relative roundings.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> best_of_neurons(one, 0.5 * one, -2 * one, 4 * one).tolist()      # at z = 4: 4 - 2
    [[2.0]]
    """
    low, high = np.maximum(lower, 0.0), np.maximum(upper, 0.0)
    with np.errstate(invalid="ignore"):
        # at an end of positive sign the two products share the factor z, so that a difference loses nothing
        price = rows - pi
        at_low = np.where(lower > 0, price * low, -pi * lower)
        at_high = np.where(upper > 0, price * high, -pi * upper)
    if not (np.isfinite(lower).all() and np.isfinite(upper).all()):  # 0 times an infinite end is 0
        at_low = np.where(np.where(lower > 0, price, pi) == 0, 0.0, at_low)
        at_high = np.where(np.where(upper > 0, price, pi) == 0, 0.0, at_high)
    best = np.maximum(at_low, at_high)
    best = np.where((lower < 0) & (upper > 0), np.maximum(best, 0.0), best)
    return np.where(np.isnan(best), np.inf, best)
