"""Read a network from a torch module."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import TYPE_CHECKING

import torch

from wdaverify._errors import ModelError
from wdaverify.ir.from_onnx import from_onnx

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wdaverify.ir.network import Network


def from_torch(module: torch.nn.Module, input_shape: Sequence[int]) -> Network:
    """Read a piecewise-linear network from a torch module in evaluation mode, through its ONNX export.

    The export is not optimised, so that no weights are fused or rounded: a float64 module keeps its float64 weights.
    ONNX stores attributes (the slope of a leaky ReLU, the epsilon of a batch normalization) as float32, and so they are read.
    The module is left as it was found, in training mode if it was. Call this from one thread only: the exporter's chatter
    is silenced by changing the process's warning filters, log levels and standard streams for the time of the export.

    Parameters
    ----------
    input_shape
        Shape of one sample, without the batch axis.

    Raises
    ------
    ModelError
        If torch cannot export the module, or `from_onnx` refuses the result.

    Examples
    --------
    >>> from torch.nn import Linear, ReLU, Sequential
    >>> print(from_torch(Sequential(Linear(2, 3), ReLU(), Linear(3, 2)), (2,)))
    2 inputs, 2 outputs, 3 ReLUs in 1 layers
    """
    name = type(module).__name__
    tensors = [*module.parameters(), *module.buffers()]
    dtype = next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)
    device = tensors[0].device if tensors else torch.device("cpu")
    example = torch.zeros((1, *input_shape), dtype=dtype, device=device)
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        with _quiet():
            program = torch.onnx.export(module, (example,), dynamo=True, optimize=False, verbose=False)
            assert program is not None
            content = program.model_proto.SerializeToString()
    except Exception as error:  # the exporter raises many kinds
        shape = list(example.shape)
        raise ModelError(
            f"{name}: torch cannot export this module to ONNX for an input of shape {shape}: {_cause(error)}"
        ) from error
    finally:
        for part, training in modes:
            part.training = training
    return from_onnx(content, name=name)


def _cause(error: BaseException) -> str:
    """The first line of what went wrong: the exporter wraps it in advice about its own steps."""
    while error.__cause__ is not None:
        error = error.__cause__
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return "".join(c for c in first if c.isprintable())[:300]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress, warnings and log lines off the user's terminal.

    Not safe beside other threads: warning filters, log levels and the standard streams belong to the whole process.
    """
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
