"""The worst-case distribution: the samples that move most, beside what becomes of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify.report.numbers import MISSING, percent, shown
from wdaverify.report.page.images import as_image, change_picture, image_shape, picture, reduced, reduction
from wdaverify.report.page.material import Section

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.report.page.material import Material
    from wdaverify.transport import Atom

_RADII = 12
"""Plans that are shown, those of the largest radii."""

_IMAGES, _TABLES = 12, 8
"""Atoms that are shown of a plan, as images or as tables of features."""

_ALL_TABLES, _ALL_PIXELS = 120, 500_000
"""Atoms of all plans together, and bytes of all their images before compression: the page stays small."""

_FEATURES = 12
"""Features of a table, those that change most."""


def plans(material: Material) -> Section:
    """One plan per radius; the largest is open."""
    curve = material.document["curve"]
    ranks = sorted(range(len(curve)), key=lambda k: curve[k]["radius"])
    size, left = image_shape(material.shape, named=material.names is not None), max(len(ranks) - _RADII, 0)
    limit = _limit(size, len(ranks) - left)
    shown_plans = [_plan(material, k, size, limit) for k in ranks[left:]]
    factor = 1 if size is None else reduction(size)
    values = {"plans": shown_plans, "image": size is not None, "left_out": left, "factor": factor}
    return Section(name="plans", title="Worst-case distribution", values=values)


def _limit(size: tuple[int, int, int] | None, count: int) -> int:
    """How many atoms each of so many plans shows."""
    if size is None:
        return max(1, min(_TABLES, _ALL_TABLES // count))
    height, width = (math.ceil(side / reduction(size)) for side in size[:2])
    channels = size[2]
    return max(1, min(_IMAGES, _ALL_PIXELS // (count * height * width * (2 * channels + 3))))


def _plan(material: Material, k: int, size: tuple[int, int, int] | None, limit: int) -> dict[str, Any]:
    """The k-th plan, its largest movers first."""
    plan, radius = material.plans[k], material.document["curve"][k]["radius"]
    movers = sorted(plan.moved, key=lambda atom: (-atom.mass, -atom.cost, atom.source))
    left = movers[limit:]
    total = math.fsum(atom.mass for atom in plan.moved)
    power = "" if material.order == 1 else f" (mass times distance^{shown(material.order)})"
    cost = "largest distance" if math.isinf(material.order) else f"cost{power}"
    left_out = ""
    if left:
        atoms = "atom that moves is" if len(left) == 1 else "atoms that move are"
        left_out = f"{len(left)} more {atoms} left out, together {percent(math.fsum(a.mass for a in left))} of the mass."
    return {
        "title": f"Radius {shown(radius)}",
        "summary": f"{len(movers)} of {len(plan.atoms)} atoms move, {percent(total)} of the mass; {cost} {shown(plan.cost)}",
        "movers": [_mover(material, atom, size) for atom in movers[:limit]],
        "left_out": left_out,
    }


def _mover(material: Material, atom: Atom, size: tuple[int, int, int] | None) -> dict[str, Any]:
    """An atom beside its sample."""
    assert material.data is not None
    source, point = material.data.x[atom.source], np.asarray(atom.point, dtype=float)
    change = point - source
    return {
        "title": f"Sample {atom.source}",
        "label": atom.label,
        "becomes": _target(material, atom.source),
        "mass": percent(atom.mass),
        "cost": shown(atom.cost, 5),
        "distance": shown(material.reach(atom.cost), 5),
        "changed": f"{int((change != 0).sum())} of {len(change)} features change",
        "images": [] if size is None else _images(material, source, point, size, atom),
        "features": _features(material, source, point, change),
        "left_out": _left_out(change),
    }


def _target(material: Material, source: int) -> int | None:
    """The class that wins where the sample goes, known for losses that count errors."""
    records = material.document["distances"]
    return records[source]["target"] if source < len(records) else None


def _images(material: Material, source: Vector, point: Vector, size: tuple[int, int, int], atom: Atom) -> list[dict[str, str]]:
    """The sample, where it goes, and the change."""
    low, high = _range(material)
    factor = reduction(size)
    before, after, change = (reduced(as_image(v, material.shape, size), factor) for v in (source, point, point - source))
    largest = float(np.abs(point - source).max())
    name = f"sample {atom.source}, label {atom.label}"
    return [
        {"src": picture(before, low, high), "caption": "as it is", "alt": f"{name}, as it is"},
        {"src": picture(after, low, high), "caption": "moved", "alt": f"{name}, moved by {shown(material.reach(atom.cost), 4)}"},
        {
            "src": change_picture(change),
            "caption": "change",
            "alt": f"change of {name}: up to {shown(largest, 4)} in a feature, orange where it grows and blue where it shrinks",
        },
    ]


def _left_out(change: Vector) -> str:
    """What a table of features does not show."""
    changed = int((change != 0).sum())
    words = [f"{changed - _FEATURES} more change less"] if changed > _FEATURES else []
    if len(change) > _FEATURES and changed < len(change):
        words.append(f"{len(change) - changed} features do not change")
    return "; ".join(words)


def _range(material: Material) -> tuple[float, float]:
    """Black and white: the ends of the domain if they are the same everywhere, else of the data."""
    assert material.data is not None
    domain = material.document["domain"]
    ends = [domain.get(end) for end in ("lower", "upper")] if isinstance(domain, dict) else []
    numbers = [float(end) for end in ends if isinstance(end, int | float)]
    if len(numbers) == 2:
        return numbers[0], numbers[1]
    return float(material.data.x.min()), float(material.data.x.max())


def _features(material: Material, source: Vector, point: Vector, change: Vector) -> list[dict[str, Any]]:
    """The features that change most, in their own order; all features where there are few."""
    ranks = np.argsort(-np.abs(change), kind="stable")[:_FEATURES]
    if len(change) > _FEATURES:
        ranks = ranks[change[ranks] != 0]
    return [
        {
            "name": material.feature(int(k)),
            "before": shown(source[k], 4),
            "after": shown(point[k], 4),
            "change": MISSING if change[k] == 0 else f"{'▲ +' if change[k] > 0 else '▼ '}{shown(change[k], 3)}",
            "direction": "stays" if change[k] == 0 else "grows" if change[k] > 0 else "shrinks",
        }
        for k in np.sort(ranks).tolist()
    ]
