"""Read what an ONNX model stores in files beside it, and nothing else.

A model names such files itself, so a name may lead anywhere: only what lies in the model's own folder is read, and only as much
as the tensor's dims can need.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
from onnx import TensorProto, external_data_helper

from wdaverify._errors import ModelError
from wdaverify.ir.messages import one_line

_LONGEST_NAME = 1024


def location_of(tensor: onnx.TensorProto) -> str | None:
    """The name of a tensor's file, if it names one inside the model's folder."""
    location = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
    if not isinstance(location, str) or not location or "\0" in location or len(location) > _LONGEST_NAME:
        return None
    posix, windows = PurePosixPath(location), PureWindowsPath(location)
    outside = posix.is_absolute() or windows.is_absolute() or windows.drive or ".." in posix.parts or ".." in windows.parts
    return None if outside else location


def load_external(title: str, tensor: onnx.TensorProto, folder: Path | None, limit: int) -> int:
    """Read the data of a tensor into it, and return the number of bytes.

    Parameters
    ----------
    title
        How messages name the tensor.
    folder
        The model's; None if the model did not come from a file.
    limit
        Bytes that the tensor may have.

    Raises
    ------
    ModelError
        If the file lies outside the folder, is not there, or cannot be read, or the tensor has more bytes there.
    """
    location = location_of(tensor)
    if location is None:
        named = str({entry.key: entry.value for entry in tensor.external_data}.get("location", ""))
        raise ModelError(f"{title}: external data '{named[:200]}' lies outside the model's folder")
    where = f"{title}: external data '{location[:200]}'"
    if folder is None:
        raise ModelError(f"{where} needs the model as a file")
    try:
        size = _size(where, tensor, folder, location)
        if size > limit:
            raise ModelError(f"{where} has {size} bytes, more than dims {list(tensor.dims)} can need")
        external_data_helper.load_external_data_for_tensor(tensor, str(folder))
    except ModelError:
        raise
    except Exception as error:  # the library raises its own and the system's errors here
        raise ModelError(f"{where} cannot be read: {one_line(error)}") from None
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]
    return size


def _size(where: str, tensor: onnx.TensorProto, folder: Path, location: str) -> int:
    """How many bytes of the file the tensor asks for."""
    path = folder / location
    if not path.is_file():
        raise ModelError(f"{where} is not there: no such file beside the model")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{where} leads outside the model's folder")
    fields = {entry.key: entry.value for entry in tensor.external_data}
    return max(0, int(fields.get("length") or path.stat().st_size - int(fields.get("offset") or 0)))
