"""The judge's bounds of gradients in float64: ranges of all adjoints at a node, and the bound of a dual norm from them.

For ``g = c . f`` the adjoints are ``G_f = c``; an affine step adds ``w_ij G_i`` to G_j; a neuron passes ``d G_y`` to its z, with
d = 1 (active), 0 (inactive), anything in [0, 1] else. Backward intervals bound them, and for s = 1 the forward sweep of the
judge's ``jquery`` with its default slopes: ``sum_j t_j G_xj``, d G_y replaced by its best line over the range of G_y.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify._types import Norm
from wdaverify.ir.compiled import AffineStep, InputStep

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Vector
    from wdaverify.ir.compiled import CompiledNetwork


class Adjoints(NamedTuple):
    """Ends of the adjoints of all ``y`` (neurons,) and of the inputs (n,)."""

    low: Vector
    high: Vector
    input_low: Vector
    input_high: Vector


def adjoint_ranges(compiled: CompiledNetwork, form: Vector, modes: Vector) -> Adjoints:
    """Backward intervals at a node; `modes` are 1, -1 or 0 (neurons,), `form` is c (K,)."""
    low, high = np.zeros(compiled.neurons), np.zeros(compiled.neurons)
    pending = {compiled.output: (form.copy(), np.zeros(len(form)))}  # middle and radius
    for step in reversed(compiled.steps):
        middle, radius = pending.pop(step.slot, (np.zeros(step.size), np.zeros(step.size)))
        if isinstance(step, InputStep):
            return Adjoints(low, high, middle - radius, middle + radius)
        if isinstance(step, AffineStep):
            for source, factor in zip(step.sources, step.factors, strict=True):
                more = factor.pull(middle[None])[0], np.asarray(factor.sizes.T @ radius)
                old = pending.get(source)
                pending[source] = more if old is None else (old[0] + more[0], old[1] + more[1])
            continue
        n = step.neurons
        low[n], high[n], mode = middle - radius, middle + radius, modes[n]
        a = np.where(mode > 0, low[n], np.where(mode < 0, 0.0, np.minimum(low[n], 0.0)))
        b = np.where(mode > 0, high[n], np.where(mode < 0, 0.0, np.maximum(high[n], 0.0)))
        old = pending.get(step.source)
        more = 0.5 * (a + b), 0.5 * (b - a)
        pending[step.source] = more if old is None else (old[0] + more[0], old[1] + more[1])
    raise AssertionError("a network has an input")


def norm_bound(compiled: CompiledNetwork, form: Vector, modes: Vector, found: Adjoints, norm: Norm, free: BoolArray) -> float:
    """What a leaf proves of the dual norm over the free coordinates (a mask (n,)), by default slopes."""
    low, high = np.where(free, found.input_low, 0.0), np.where(free, found.input_high, 0.0)
    sizes = np.maximum(np.abs(low), np.abs(high))
    if norm is Norm.L1:
        return float(sizes.max(initial=0.0))
    if norm is Norm.L2:
        return float(np.sqrt(np.square(sizes).sum()))
    with np.errstate(divide="ignore", invalid="ignore"):
        mixed = np.floor((low + high) / (high - low) * 2.0**14 + 0.5) / 2.0**14
    tau = np.where(low >= 0, 1.0, np.where(high <= 0, -1.0, mixed)) * free
    paid = float(np.maximum(np.abs(low) - tau * low, np.abs(high) - tau * high).sum())
    return min(float(sizes.sum()), paid + _tangent_sweep(compiled, form, modes, found, tau))


def _tangent_sweep(compiled: CompiledNetwork, form: Vector, modes: Vector, found: Adjoints, tau: Vector) -> float:
    """``jquery``: an upper bound of ``tau . G_x``."""
    values: dict[int, Vector] = {}
    total = 0.0
    for step in compiled.steps:
        if isinstance(step, InputStep):
            values[step.slot] = tau
        elif isinstance(step, AffineStep):
            parts = (f.push(values[s][None])[0] for s, f in zip(step.sources, step.factors, strict=True))
            values[step.slot] = np.sum([*parts], axis=0)
        else:
            n, rho = step.neurons, values[step.source]
            a, b, mode = found.low[n], found.high[n], modes[n]
            with np.errstate(divide="ignore", invalid="ignore"):
                up, down = (np.floor(e / (b - a) * 2.0**14 + 0.5) / 2.0**14 for e in (b, -a))
            q_up = np.where(a >= 0, 1.0, np.where(b <= 0, 0.0, up))
            q_down = np.where(a >= 0, 0.0, np.where(b <= 0, 1.0, down))
            # best of the vertices (G, d G) at both ends
            over = np.maximum.reduce([-q_up * a, -q_up * b, (1 - q_up) * a, (1 - q_up) * b])
            under = np.maximum.reduce([q_down * a, q_down * b, (q_down - 1) * a, (q_down - 1) * b])
            free = mode == 0
            paid = np.where(rho > 0, rho * over, -rho * under)
            total += float(paid[free].sum())
            passed = np.where(free, rho * np.where(rho > 0, q_up, q_down), np.where(mode > 0, rho, 0.0))
            values[step.slot] = passed
    return total + float(form @ values[compiled.output])


def branching_scores(compiled: CompiledNetwork, modes: Vector, found: Adjoints) -> Vector:
    """How much each undetermined neuron may add to the gradient, roughly; ``-inf`` for determined ones."""
    values, scores = {}, np.full(compiled.neurons, -np.inf)
    for step in compiled.steps:
        if isinstance(step, InputStep):
            values[step.slot] = np.eye(step.size)
        elif isinstance(step, AffineStep):
            parts = (f.push(values[s]) for s, f in zip(step.sources, step.factors, strict=True))
            values[step.slot] = np.sum([*parts], axis=0)
        else:
            n, tangents, mode = step.neurons, values[step.source], modes[step.neurons]
            reach = np.abs(tangents).sum(axis=0) * np.maximum(np.abs(found.low[n]), np.abs(found.high[n]))
            scores[n] = np.where(mode == 0, reach, -np.inf)
            values[step.slot] = tangents * np.where(mode > 0, 1.0, np.where(mode < 0, 0.0, 0.5))
    return scores
