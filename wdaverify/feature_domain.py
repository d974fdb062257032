"""Domains of real data: boxes with features that cannot move, whole numbers, categories and linear constraints.

A point of a domain satisfies all of these exactly, as the rational numbers that its floats are:

* *box*: ``lower <= x <= upper``;
* *frozen* features keep the value of the sample that the mass comes from (labels never move in any domain);
* *integer* features are whole numbers;
* in a *one-hot* group exactly one feature is 1 and all others are 0;
* *rows*: ``A x <= b``. Points may lie on a row.

*Weights* say what a unit of each feature costs: the ground cost is ``||S (x' - x)||`` with ``S = diag(weights)``. A change of
category moves two features of its group: with weight v on both it costs ``2 v`` in l1, ``v`` in linf, ``sqrt(2) v`` in l2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify._errors import DomainError
from wdaverify.constraints import Constraints, disjoint_groups, mask, positive_weights, rows_and_limits
from wdaverify.domain import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from wdaverify._types import BoolArray, Matrix, Vector


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Domain:
    """The inputs that exist, for data with constraints; a `Box` is the plain case, and every call takes either.

    Parameters
    ----------
    box
        The ends of all features. Frozen features may have infinite ones.
    frozen
        Which features cannot move, (n,) booleans.
    weights
        What a unit of each feature costs, (n,), positive and finite; ones if not given.
    integer
        Which features are whole numbers, (n,) booleans.
    one_hot
        Disjoint groups of at least two features each, by index.
    rows, limits
        ``rows x <= limits``, shapes (R, n) and (R,), finite.
    names
        Of the n features, for messages.

    Raises
    ------
    DomainError
        If lengths differ, a number is out of its range, groups overlap, or the constraints contradict the box, as far as each
        of them alone shows.

    Examples
    --------
    A domain of three features, the first of which cannot move, with ``x_1 <= x_2``:

    >>> domain = Domain(Box(0, 9), frozen=[True, False, False], rows=[[0, 1, -1]], limits=[0])
    >>> region = domain.box_about([4.0, 1.0, 2.0])
    >>> region.lower.tolist(), region.upper.tolist()
    ([4.0, 0.0, 0.0], [4.0, 9.0, 9.0])
    >>> domain.broken([4.0, 3.0, 2.0])
    'row 0 has the value 1.0, above its limit 0.0'
    """

    box: Box
    frozen: BoolArray
    weights: Vector | None
    constraints: Constraints
    names: tuple[str, ...] | None

    def __init__(
        self,
        box: Box,
        *,
        frozen: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        integer: ArrayLike | None = None,
        one_hot: Sequence[Sequence[int]] = (),
        rows: ArrayLike | None = None,
        limits: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        n = _features(box, frozen=frozen, weights=weights, integer=integer, rows=rows, names=names)
        fixed, whole = mask(frozen, n, "frozen"), mask(integer, n, "integer")
        groups = disjoint_groups(one_hot, n)
        whole[[k for group in groups for k in group]] = True
        matrix, most = rows_and_limits(rows, limits, n)
        scales = None if weights is None else positive_weights(weights, n)
        sized = _with_categories(box.sized(n), groups)
        for name, value in (
            ("box", sized), ("frozen", fixed), ("weights", scales), ("names", None if names is None else tuple(names)),
            ("constraints", Constraints(whole, groups, matrix, most)),
        ):  # fmt: skip
            object.__setattr__(self, name, value)
        for array in (fixed, whole, matrix, most, scales):
            if array is not None:
                array.setflags(write=False)
        _check_consistent(self)

    @property
    def features(self) -> int:
        """Number n of features."""
        return len(self.frozen)

    @property
    def boxes_only(self) -> bool:
        """Whether each sample's region is a box and a unit of every feature costs the same."""
        c = self.constraints
        return self.weights is None and not (c.integer.any() or c.one_hot or len(c.rows))

    @property
    def bounded(self) -> bool:
        """Whether the region of every sample is bounded."""
        return bool((np.isfinite(self.box.lower) & np.isfinite(self.box.upper) | self.frozen).all())

    def sized(self, n: int) -> Domain:
        """The same domain, after a check that it has n features.

        Raises
        ------
        DomainError
            If it has another number.
        """
        if self.features != n:
            raise DomainError(f"the domain has {self.features} features, the network has {n} inputs")
        return self

    def box_about(self, sample: ArrayLike) -> Box:
        """The box of the points that a sample (n,) can move to, as far as a box can say it: frozen features stay."""
        x = np.asarray(sample, dtype=np.float64)
        return Box(np.where(self.frozen, x, self.box.lower), np.where(self.frozen, x, self.box.upper))

    def broken(self, point: ArrayLike, sample: ArrayLike | None = None) -> str | None:
        """What keeps a point (n,) out of the domain, or a `sample` from moving there; ``None`` if nothing does. Exact."""
        x = np.asarray(point, dtype=np.float64)
        outside = np.flatnonzero(~((x >= self.box.lower) & (x <= self.box.upper)))
        if len(outside):
            k = int(outside[0])
            return f"{self.name(k)} = {float(x[k])!r} is not in [{self.box.lower[k]:g}, {self.box.upper[k]:g}]"
        if sample is not None:
            moved = np.flatnonzero(self.frozen & (x != np.asarray(sample, dtype=np.float64)))
            if len(moved):
                return f"{self.name(int(moved[0]))} is frozen, but moves"
        return self.constraints.broken(x)

    def name(self, feature: int) -> str:
        """How messages call a feature."""
        return f"feature {feature}" if self.names is None else f"feature {feature} ('{self.names[feature]}')"

    def __str__(self) -> str:
        c = self.constraints
        grouped = sum(map(len, c.one_hot))
        counts = (
            (int(self.frozen.sum()), "frozen"), (int(c.integer.sum()) - grouped, "integer"),
            (len(c.one_hot), "one-hot groups"), (len(c.rows), "rows"), (int(self.weights is not None), "weights"),
        )  # fmt: skip
        said = ", ".join(f"{count} {what}" if what != "weights" else what for count, what in counts if count)
        return f"{self.box} with {said}" if said else str(self.box)


def as_domain(domain: Box | Domain, n: int) -> Domain:
    """The domain itself with n features, or a box as the domain without constraints."""
    return domain.sized(n) if isinstance(domain, Domain) else Domain(domain.sized(n))


def box_about(domain: Box | Domain, sample: ArrayLike) -> Box:
    """The box that a sample (n,) can move in: the domain itself, or `Domain.box_about`."""
    return domain.box_about(sample) if isinstance(domain, Domain) else domain.sized(np.shape(sample)[-1])


def alike(domain: Box | Domain, samples: Matrix) -> list[tuple[list[int], Box]]:
    """The numbers of the samples (N, n) that can move in the same box, and that box."""
    groups: dict[bytes, list[int]] = {}
    for k, sample in enumerate(samples):
        frozen = sample[domain.frozen] if isinstance(domain, Domain) else np.zeros(0)
        groups.setdefault((frozen + 0.0).tobytes(), []).append(k)
    return [(group, box_about(domain, samples[group[0]])) for group in groups.values()]


def hull_of(domain: Box | Domain, samples: Matrix) -> Box:
    """A box that holds the regions of all samples (N, n): what is bounded on it is bounded for all of them."""
    if isinstance(domain, Box):
        return domain
    box, frozen = domain.box, domain.frozen
    return Box(np.where(frozen, samples.min(axis=0), box.lower), np.where(frozen, samples.max(axis=0), box.upper))


def box_per_sample(domain: Box | Domain, purpose: str) -> Box | Domain:
    """The domain, if every sample moves in a box and a unit of every feature costs the same.

    Parameters
    ----------
    purpose
        What it is needed for, in the plural, for the message.

    Raises
    ------
    DomainError
        If it says more.
    """
    if isinstance(domain, Domain) and not domain.boxes_only:
        raise DomainError(
            f"{purpose} need a box, in which features may be frozen, but the domain is a {domain}; "
            "for weights, integers, one-hot groups and rows give --loss margin, hinge or cross-entropy"
        )
    return domain


def plain_box(domain: Box | Domain, purpose: str) -> Box:
    """The box of a domain that is nothing but a box.

    Parameters
    ----------
    purpose
        What it is needed for, in the plural, for the message.

    Raises
    ------
    DomainError
        If the domain says more: a constraint is never left out silently.
    """
    if isinstance(domain, Box):
        return domain
    if domain.frozen.any() or not domain.boxes_only:
        raise DomainError(f"{purpose} need a plain box, but the domain is a {domain}; give LO,HI or a file with only the ends")
    return domain.box


def _features(box: Box, **arrays: Any) -> int:
    """The number of features, which the ends or the first array that is given say."""
    if box.lower.ndim:
        return len(box.lower)
    for name, array in arrays.items():
        if array is not None:
            shape = np.shape(array)
            if not shape:
                raise DomainError(f"{name} is a single number; give one value per feature")
            return int(shape[-1])
    raise DomainError("the number of features is unknown: give the box one end per feature")


def _with_categories(box: Box, groups: Sequence[Sequence[int]]) -> Box:
    """The box with the features of groups between 0 and 1."""
    lower, upper = box.lower.copy(), box.upper.copy()
    members = [k for group in groups for k in group]
    lower[members], upper[members] = np.maximum(lower[members], 0.0), np.minimum(upper[members], 1.0)
    bad = [k for k in members if lower[k] > upper[k]]
    if bad:
        k = bad[0]
        raise DomainError(f"feature {k} is in a one-hot group, but its ends [{box.lower[k]:g}, {box.upper[k]:g}] exclude 0 and 1")
    return Box(lower, upper)


def _check_consistent(domain: Domain) -> None:
    """Refuse what is empty for a reason that one constraint shows with the box."""
    box, c = domain.box, domain.constraints
    holes = np.flatnonzero(c.integer & (np.ceil(box.lower) > np.floor(box.upper)))
    if len(holes):
        k = int(holes[0])
        raise DomainError(f"{domain.name(k)} is integer, but [{box.lower[k]:g}, {box.upper[k]:g}] holds no whole number")
    for g, group in enumerate(c.one_hot):
        members = list(group)
        if (box.lower[members] > 0).sum() > 1 or not (box.upper[members] >= 1).any():
            raise DomainError(f"the one-hot group {g} cannot have exactly one feature that is 1 within the ends of its features")
    for k, (row, limit) in enumerate(zip(c.rows, c.limits, strict=True)):
        support = np.flatnonzero(row)
        ends = np.where(row[support] > 0, box.lower[support], box.upper[support])
        if np.isfinite(ends).all() and c.breaks_row(k, ends):
            raise DomainError(f"row {k} holds nowhere in the box: its least value is above its limit {limit:g}")
