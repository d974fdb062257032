"""Plans in files: small ones within the JSON, the points of large ones in an `.npz` beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdaverify.report import json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wdaverify.report.records import PlanRecord
    from wdaverify.transport import TransportPlan


def save_plans(plans: Sequence[TransportPlan], target: Path, *, inputs: Sequence[str]) -> list[PlanRecord]:
    """The records of the plans of a file; points that are too many for it are written beside it.

    Parameters
    ----------
    target
        The JSON file, already checked.
    inputs
        Files that must not be overwritten.

    Raises
    ------
    InputError
        If an `.npz` cannot be written; none is written then.
    """
    names = {k: f"{target.stem}.plan-{k}.npz" for k, plan in enumerate(plans) if json.is_large(plan)}
    for name in names.values():
        json.check_writable(target.with_name(name), inputs=[*inputs, target])
    for k, name in names.items():
        json.write_points(plans[k].points, target.with_name(name))
    return [json.plan_record(plan, names.get(k)) for k, plan in enumerate(plans)]
