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
    >>> load("model.pt")
    Traceback (most recent call last):
    wdaverify._errors.ModelError: model.pt: the model file 'model.pt' does not exist

    A network written as ONNX is read back as the same function:

    >>> import tempfile
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input
    >>> from wdaverify.ir.to_onnx import to_onnx
    >>> line = Affine((csr_array(np.array([[1.0, -2.0]])),), np.array([0.5]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_onnx(Network.from_nodes({"x": Node(Input(2)), "y": Node(line, ("x",))}, "y"), Path(folder) / "line.onnx")
    ...     network = load(Path(folder) / "line.onnx")
    >>> network.inputs, network.outputs, network.relus
    (2, 1, 0)
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
