"""Prices that a test knows: by brute force over given points, exact, or lying on purpose."""

from __future__ import annotations

import math

import numpy as np


class PointPrices:
    """The prices of a network that only has the given points: exact up to rounding, which `slack` covers."""

    def __init__(self, question, points, slack=1e-12):
        self.question, self.points = question, np.vstack([question.center[None], points])
        logits = question.network.compiled.forward(self.points)
        self.gains = (logits @ question.rows.T).max(axis=1)
        self.costs = question.cost.values(self.points - question.center)
        self.within = question.cost.lengths(self.points - question.center) <= question.reach
        self.slack, self.known = slack, {}
        self.works = 0

    def phi(self, multiplier):
        return float((self.gains - multiplier * self.costs)[self.within].max())

    def upper(self, multiplier):
        """As the theory's rule: phi is nonincreasing."""
        bounds = [bound for known, bound in self.known.items() if known <= multiplier]
        return min(bounds, default=math.inf)

    def offer(self, points):
        pass

    def work(self, multiplier, *, cut, gap, deadline):
        self.works += 1
        values = np.where(self.within, self.gains - multiplier * self.costs, -np.inf)
        self.known[multiplier] = max(cut, float(values.max())) + self.slack
        order = np.argsort(values)
        return self.points[order[values[order] > cut]]


class LyingPrices(PointPrices):
    """Bounds that are too low by a constant."""

    def upper(self, multiplier):
        return super().upper(multiplier) - 0.125


class SilentPrices(PointPrices):
    """Nothing is ever proved."""

    def upper(self, multiplier):
        return math.inf


class NanPrices(PointPrices):
    """What a broken solver might say."""

    def upper(self, multiplier):
        return math.nan
