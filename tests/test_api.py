"""What `import wdaverify` offers, and how little it loads."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import wdaverify

PUBLIC = [
    "AdversarialDistance", "AttackOptions", "AttackResult", "AuditError", "Box", "Bracket", "DataError", "Dataset",
    "DistanceOptions", "Domain", "DomainError", "InputError", "LipschitzConstant", "LipschitzOptions", "ModelError",
    "Network", "Norm", "PropertyAnswer", "PropertyError", "RiskCertificate", "SolverError", "TransportPlan",
    "UnsupportedOpError", "Verdict", "WassersteinBall", "WdaverifyError", "attack", "cells", "certify", "check", "distance",
    "from_sklearn", "from_torch", "lipschitz", "lipschitz_constants", "load", "load_domain", "plot", "save_report", "verify",
]  # fmt: skip


def test_public_names_are_these():
    assert wdaverify.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(wdaverify))


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_resolve_and_are_documented(name):
    value = getattr(wdaverify, name)
    assert value.__name__.split(".")[-1] == name  # `cells` and `attack` are rooms of that name once a file of them is imported
    assert value.__doc__


@pytest.mark.parametrize("name", [name for name in PUBLIC if name.islower() and name != "plot"])
def test_every_public_function_has_an_example(name):
    home = importlib.import_module(f"wdaverify.{wdaverify._HOMES[name]}")
    assert ">>> " in getattr(home, name).__doc__


@pytest.mark.parametrize("name", wdaverify.plot.__all__)
def test_every_figure_has_an_example(name):
    assert ">>> " in getattr(wdaverify.plot, name).__doc__


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'solve_everything'"):
        _ = wdaverify.solve_everything


@pytest.mark.parametrize("first", ["wdaverify.cells", "wdaverify.cells.enumerate", "wdaverify.cells.interior", "wdaverify"])
def test_cells_can_be_called_whatever_was_imported_before(first):
    network = "wv.load('tests/data/lipschitz/degen_abs_identity_1-2-1.onnx')"
    calls = f"print(*(str(wv.cells({network}, wv.Box(-1, 1))) for _ in range(2)), sep=';')"
    program = f"import {first}; import wdaverify as wv; {calls}"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "2 cells;2 cells"


@pytest.mark.parametrize("first", ["wdaverify.attack", "wdaverify.attack.nearest", "wdaverify.risk.distance", "wdaverify"])
def test_attack_can_be_called_whatever_was_imported_before(first):
    network = "wv.load('tests/data/lipschitz/degen_abs_identity_1-2-1.onnx')"
    call = f"wv.attack({network}, wv.Dataset([[0.5]], [0]), wv.WassersteinBall(0.1), device='cpu')"
    program = f"import {first}; import wdaverify as wv\nfor _ in range(2):\n  try: {call}\n  except wv.ModelError as e: print(e)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.count("an attack needs at least two classes") == 2


@pytest.mark.parametrize("statement", ["import wdaverify", "import wdaverify.cli.main", "import wdaverify.plot"])
def test_importing_loads_nothing_heavy(statement):
    heavy = "{'torch', 'onnx', 'onnxruntime', 'highspy', 'pulp', 'cvxpy', 'sklearn', 'matplotlib', 'pandas'}"
    program = f"import sys; {statement}; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
