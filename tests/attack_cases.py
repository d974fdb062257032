"""Questions that every attack has to survive, and what must hold for each answer."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np

import wdaverify as wv
from wdaverify._types import Norm
from wdaverify.attack.methods import METHODS
from wdaverify.ir.evaluate import forward
from wdaverify.ir.network import Network
from wdaverify.losses import margins
from wdaverify.risk.audit import Auditor

NORMS = list(Norm)
NAMES = list(METHODS)
FAST = {"steps": 8, "restarts": 2, "device": "cpu"}


def labelled(network, x, weights=None):
    """Samples with the labels that the network gives them."""
    return wv.Dataset(x, forward(network, np.asarray(x, dtype=float)).argmax(axis=1), weights)


def check(network, data, found, box):
    """Points lie in the box, are adversarial, as far away as is said, and the plans pass an exact audit of ball and budget."""
    sized = box.sized(data.size)
    known = np.isfinite(found.distances)
    assert np.isnan(found.points[~known]).all()
    assert (found.targets[~known] == -1).all()
    points, x, y = found.points[known], data.x[known], data.y[known]
    assert sized.contains(points).all()
    assert (found.targets[known] != y).all()
    for point, sample, said in zip(points.tolist(), x.tolist(), found.distances[known].tolist(), strict=True):
        gap = [abs(Fraction(a) - Fraction(b)) for a, b in zip(point, sample, strict=True)]
        length = {Norm.LINF: max, Norm.L1: sum, Norm.L2: lambda g: sum(v * v for v in g)}[found.ball.norm](gap)
        bound = Fraction(said) ** (2 if found.ball.norm is Norm.L2 else 1)
        assert length <= bound <= length * (1 + Fraction(1, 10**12))
    if isinstance(network, Network):
        outputs = forward(network, points)
        assert (margins(outputs, y) >= -1e-12 * (1 + np.abs(outputs).max(initial=0))).all()
    for point in found.curve:
        check_point(data, found, point)


def check_point(data, found, point):
    """Accuracies follow from the distances, and the plan is worth what is said."""
    weights = np.array([float(w) for w in data.fractions])
    within = found.distances <= point.radius
    assert np.isclose(point.robust_accuracy, weights[~within].sum(), atol=1e-12)
    assert point.worst_case_accuracy <= point.robust_accuracy + 1e-12
    assert np.allclose(point.plan.source_marginal(data.count), weights, atol=1e-12)
    errs = weights[found.distances == 0].sum()
    moved = sum(atom.mass for atom in point.plan.moved)
    assert np.isclose(1 - point.worst_case_accuracy, errs + moved, atol=1e-9)
    if point.radius > 0 and np.isfinite(found.ball.order):
        assert point.plan.cost <= point.radius**found.ball.order * (1 + 1e-9)


def audited(network, data, found, box):
    """Check the plans of a network in exact arithmetic: domain, masses, budget, and that they lose what is said."""
    auditor = Auditor(network, data, box)
    for point in found.curve:
        ball = dataclasses.replace(found.ball, radius=point.radius)
        auditor.check(point.plan, ball, lower=1 - point.worst_case_accuracy)
