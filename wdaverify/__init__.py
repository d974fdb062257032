"""wdaverify: exact worst-case risk of ReLU networks under every distribution near the data.

>>> import wdaverify as wv
>>> ball = wv.WassersteinBall(radius=0.05, order=1, norm="linf")

Everything public is listed in `__all__`. Names are looked up when first used, so that importing the package stays
fast: torch, onnx and the solvers load only when something needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wdaverify import plot as plot
    from wdaverify._errors import AuditError as AuditError
    from wdaverify._errors import DataError as DataError
    from wdaverify._errors import DomainError as DomainError
    from wdaverify._errors import InputError as InputError
    from wdaverify._errors import ModelError as ModelError
    from wdaverify._errors import PropertyError as PropertyError
    from wdaverify._errors import SolverError as SolverError
    from wdaverify._errors import UnsupportedOpError as UnsupportedOpError
    from wdaverify._errors import WdaverifyError as WdaverifyError
    from wdaverify._types import Norm as Norm
    from wdaverify.attack.distributional import attack as attack
    from wdaverify.attack.options import AttackOptions as AttackOptions
    from wdaverify.attack.result import AttackResult as AttackResult
    from wdaverify.bracket import Bracket as Bracket
    from wdaverify.cells.enumerate import cells as cells
    from wdaverify.check.report import Verdict as Verdict
    from wdaverify.check.report import check as check
    from wdaverify.dataset import Dataset as Dataset
    from wdaverify.domain import Box as Box
    from wdaverify.domain_file import load_domain as load_domain
    from wdaverify.feature_domain import Domain as Domain
    from wdaverify.growth.constants import lipschitz as lipschitz
    from wdaverify.growth.constants import lipschitz_constants as lipschitz_constants
    from wdaverify.growth.options import LipschitzOptions as LipschitzOptions
    from wdaverify.growth.record import LipschitzConstant as LipschitzConstant
    from wdaverify.ir.from_sklearn import from_sklearn as from_sklearn
    from wdaverify.ir.from_torch import from_torch as from_torch
    from wdaverify.ir.load import load as load
    from wdaverify.ir.network import Network as Network
    from wdaverify.property.verify import PropertyAnswer as PropertyAnswer
    from wdaverify.property.verify import verify as verify
    from wdaverify.report.page.results import save_report as save_report
    from wdaverify.risk.adversarial import AdversarialDistance as AdversarialDistance
    from wdaverify.risk.adversarial import DistanceOptions as DistanceOptions
    from wdaverify.risk.certificate import RiskCertificate as RiskCertificate
    from wdaverify.risk.certify import certify as certify
    from wdaverify.risk.distance import distance as distance
    from wdaverify.transport import TransportPlan as TransportPlan
    from wdaverify.transport import WassersteinBall as WassersteinBall

__version__ = "0.1.0"

_HOMES = {
    "AdversarialDistance": "risk.adversarial",
    "AttackOptions": "attack.options",
    "AttackResult": "attack.result",
    "AuditError": "_errors",
    "Box": "domain",
    "Bracket": "bracket",
    "DataError": "_errors",
    "Dataset": "dataset",
    "DistanceOptions": "risk.adversarial",
    "Domain": "feature_domain",
    "DomainError": "_errors",
    "InputError": "_errors",
    "LipschitzConstant": "growth.record",
    "LipschitzOptions": "growth.options",
    "ModelError": "_errors",
    "Network": "ir.network",
    "Norm": "_types",
    "PropertyAnswer": "property.verify",
    "PropertyError": "_errors",
    "RiskCertificate": "risk.certificate",
    "SolverError": "_errors",
    "TransportPlan": "transport",
    "UnsupportedOpError": "_errors",
    "Verdict": "check.report",
    "WassersteinBall": "transport",
    "WdaverifyError": "_errors",
    "attack": "attack.distributional",
    "cells": "cells.enumerate",
    "check": "check.report",
    "certify": "risk.certify",
    "distance": "risk.distance",
    "from_sklearn": "ir.from_sklearn",
    "from_torch": "ir.from_torch",
    "lipschitz": "growth.constants",
    "lipschitz_constants": "growth.constants",
    "load": "ir.load",
    "load_domain": "domain_file",
    "save_report": "report.page.results",
    "verify": "property.verify",
}

_ROOMS = ("plot",)
"""Rooms whose functions are called by two names: ``wv.plot.cells``."""

__all__ = sorted([*_HOMES, *_ROOMS])


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _ROOMS:
        return importlib.import_module(f"wdaverify.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'wdaverify' has no attribute '{name}'")
    return getattr(importlib.import_module(f"wdaverify.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return [*__all__, "__version__"]
