"""Load a network from a file, by the file's suffix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wdaverify._errors import ModelError

if TYPE_CHECKING:
    from wdaverify.ir.network import Network

_PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt"})


def load(path: str | Path) -> Network:
    """Load a network from an ``.onnx`` or ``.onnx.gz`` file.

    Raises
    ------
    ModelError
        If the file does not exist, has another suffix, or is refused by `ir.from_onnx`. Files of pickled objects
        (``.pt``, ``.pth``, ``.pkl``) are never opened: loading them can run any code.

    Examples
    --------
    >>> print(load("instances/iris/iris-16-16.onnx"))
    4 inputs, 3 outputs, 32 ReLUs in 2 layers
    """
    path = Path(path)
    suffixes = [s.lower() for s in path.suffixes]
    if not path.exists():
        raise ModelError(f"{path.name}: the model file '{path}' does not exist")
    if suffixes and suffixes[-1] in _PICKLES:
        raise ModelError(
            f"{path.name}: pickled torch files ({suffixes[-1]}) are not loaded: pickle is unsafe; "
            "export to ONNX or use wdaverify.from_torch"
        )
    if suffixes[-1:] != [".onnx"] and suffixes[-2:] != [".onnx", ".gz"]:
        raise ModelError(f"{path.name}: a model must be an .onnx or .onnx.gz file")
    from wdaverify.ir.from_onnx import from_onnx

    return from_onnx(path)
