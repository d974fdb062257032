"""What has to happen once before times mean anything."""

from __future__ import annotations

import tempfile
from pathlib import Path

import wdaverify as wv

_MODEL = Path(__file__).resolve().parents[1] / "instances" / "iris" / "iris-16-16.onnx"


def warm_up_verify() -> None:
    """Decide a property that has no answer but unsat, so that imports and first calls are not counted."""
    network = wv.load(_MODEL)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "far.vnnlib"
        file.write_text(unit_box(network.inputs, network.outputs) + "(assert (>= Y_0 1000000))\n", encoding="utf-8")
        wv.verify(network, file)


def unit_box(inputs: int, outputs: int) -> str:
    """The beginning of a VNN-LIB property: every input lies in [0, 1]."""
    lines = [f"(declare-const X_{k} Real)\n(assert (>= X_{k} 0))\n(assert (<= X_{k} 1))\n" for k in range(inputs)]
    return "".join([*lines, *(f"(declare-const Y_{k} Real)\n" for k in range(outputs))])
