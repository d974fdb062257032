"""The JSON form of Lipschitz constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from wdaverify.report import json, records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wdaverify._types import Norm
    from wdaverify.domain import Box
    from wdaverify.growth.options import LipschitzOptions
    from wdaverify.growth.record import LipschitzConstant
    from wdaverify.ir.network import Network


def options_record(norm: Norm, options: LipschitzOptions) -> dict[str, Any]:
    """The options as the file records them."""
    names = ("time_limit", "gap", "engine", "solver", "seed", "workers")
    return {"norm": str(norm), **{name: getattr(options, name) for name in names}}


def lipschitz_document(
    network: Network,
    constants: Sequence[LipschitzConstant],
    *,
    domain: Box,
    options: dict[str, Any],
    seconds: float,
    interrupted: bool = False,
    bounds: Mapping[str, Mapping[str, float]] | None = None,
) -> records.LipschitzDocument:
    """The file of kind ``lipschitz``.

    Parameters
    ----------
    bounds
        Of other methods, by their name and then by functional.
    """
    compared: list[records.ConstantBoundRecord] | msgspec.UnsetType = msgspec.UNSET
    if bounds is not None:
        compared = [
            records.ConstantBoundRecord(name=name, constants={f: json.real(value) for f, value in values.items()})
            for name, values in bounds.items()
        ]
    return records.LipschitzDocument(
        model=json.model_record(network),
        domain=json.domain_record(domain),
        options=options,
        versions=json.versions(),
        seconds=seconds,
        interrupted=interrupted,
        constants=[
            records.ConstantRecord(
                functional=constant.functional,
                norm=str(constant.norm),
                value=json.bracket_record(constant.value),
                point=json.coordinates(constant.point),
                float_replay=json.reals(constant.float_replay),
            )
            for constant in constants
        ],
        slopes=_slopes(constants) if domain.unbounded_everywhere else msgspec.UNSET,
        bounds=compared,
    )


def _slopes(constants: Sequence[LipschitzConstant]) -> list[records.SlopeRecord]:
    """The slopes of the same functionals, as far as they were reached."""
    return [
        records.SlopeRecord(
            functional=constant.functional,
            norm=str(constant.norm),
            value=json.bracket_record(constant.slope.value),
            direction=json.coordinates(constant.slope.direction),
        )
        for constant in constants
        if constant.slope is not None
    ]
