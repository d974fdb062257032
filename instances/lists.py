"""Write the properties and the lists of instances that ship beside the networks.

python instances/lists.py [FOLDER]

A property is the question whether any image or flower within a linf distance of a test sample, in the unit box, is given another
class than its own; the samples are those of the shipped data. Nothing is random.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent

ROBUSTNESS = (
    ("iris/iris-16-16.onnx", "iris/iris-test.npz", "iris", ((0, 0.02), (0, 0.2), (3, 0.05), (7, 0.1))),
    ("digits/digits-64-32-16.onnx", "digits/digits-test.npz", "digits", ((0, 0.02), (0, 0.15), (1, 0.04), (2, 0.05))),
    ("digits/digits-conv.onnx", "digits/digits-test.npz", "digits", ((0, 0.02), (2, 0.15))),
)
"""Network, data, name of the properties, and samples with radii."""

SECONDS = 60

COMMANDS = (
    {"command": "certify", "model": "planar/moons-16-16.onnx", "data": "planar/moons-test.npz", "samples": "50",
     "radius": "0.02,0.05"},
    {"command": "certify", "model": "iris/iris-16-16.onnx", "data": "iris/iris-test.npz", "radius": "0.1", "order": "2",
     "norm": "l1"},
    {"command": "certify", "model": "iris/iris-16-16.onnx", "data": "iris/iris-test.npz", "samples": "12", "loss": "margin",
     "radius": "0.05", "gap": "1e-4"},
    {"command": "certify", "model": "iris/iris-16-16.onnx", "data": "iris/iris-test.npz", "samples": "12", "loss": "hinge",
     "radius": "0.05", "order": "inf", "gap": "1e-4"},
    {"command": "certify", "model": "digits/digits-64-32-16.onnx", "data": "digits/digits-test.npz", "samples": "20",
     "loss": "margin", "radius": "0.05,0.02,0.01", "gap": "1e-4"},
    {"command": "certify", "model": "cancer/cancer-16-8.onnx", "data": "cancer/cancer-test.npz", "samples": "10",
     "loss": "margin", "norm": "l1", "radius": "0.05", "gap": "1e-4", "domain": "cancer/cancer.toml"},
    {"command": "lipschitz", "model": "planar/moons-16-16.onnx", "functional": "margin:0-1", "norm": "l2"},
    {"command": "lipschitz", "model": "iris/iris-16-16.onnx", "functional": "all", "norm": "linf"},
    {"command": "distance", "model": "digits/digits-64-32-16.onnx", "data": "digits/digits-test.npz", "samples": "10"},
    {"command": "distance", "model": "iris/iris-16-16.onnx", "data": "iris/iris-test.npz", "norm": "l2", "samples": "10"},
)  # fmt: skip
"""Rows of the lists of other commands."""

COLUMNS = ("command", "model", "property", "data", "samples", "loss", "norm", "order", "radius", "functional", "domain", "gap",
           "timeout")  # fmt: skip


def write(folder: Path) -> None:
    """Write all properties and lists below a folder."""
    verify = []
    for model, data, name, cases in ROBUSTNESS:
        with np.load(HERE / data) as arrays:
            x, y = arrays["x"], arrays["y"]
        for sample, radius in cases:
            file = f"properties/{name}-{sample}-{radius:g}.vnnlib"
            (folder / "properties").mkdir(exist_ok=True)
            (folder / file).write_text(robustness(x[sample], int(y[sample]), int(y.max()) + 1, radius), encoding="utf-8")
            verify.append({"command": "verify", "model": model, "property": file})
    text = "".join(f"{row['model']},{row['property']},{SECONDS}\n" for row in verify)
    (folder / "verify.csv").write_text(text, encoding="utf-8")
    for command in ("certify", "lipschitz", "distance"):
        _write_list(folder / f"{command}.csv", [row for row in COMMANDS if row["command"] == command])
    _write_list(folder / "suite.csv", [*verify, *COMMANDS])


def robustness(x: np.ndarray, label: int, classes: int, radius: float) -> str:
    """The property that another class is at least as high, somewhere within the radius in the unit box; decimals are exact."""
    lines = [f"; another class than {label} within {radius:g} in the maximum norm"]
    lines += [f"(declare-const X_{k} Real)" for k in range(len(x))] + [f"(declare-const Y_{j} Real)" for j in range(classes)]
    for k, value in enumerate(x.tolist()):
        lines += [f"(assert (>= X_{k} {max(value - radius, 0.0):.17g}))", f"(assert (<= X_{k} {min(value + radius, 1.0):.17g}))"]
    rivals = " ".join(f"(and (>= Y_{j} Y_{label}))" for j in range(classes) if j != label)
    return "\n".join([*lines, f"(assert (or {rivals}))", ""])


def _write_list(path: Path, rows: list[dict[str, str]]) -> None:
    used = [name for name in COLUMNS if name == "timeout" or any(name in row for row in rows)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, used, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "timeout": str(SECONDS)} for row in rows)
    path.write_text(text.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE)
