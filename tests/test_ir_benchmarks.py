"""The published benchmark networks against onnxruntime; skipped where the data are not at hand."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from tests.onnx_models import runtime
from wdaverify.ir.evaluate import forward
from wdaverify.ir.load import load
from wdaverify.ir.replay import float_replay

DATA = Path(os.environ.get("WDAVERIFY_BENCHMARK_DATA", Path(__file__).parents[2] / "shared" / "data"))
MODELS = sorted(DATA.glob("*/onnx/*.onnx.gz"))
RELUS = {
    "ACASXU": 300,
    "mnist-net_256x2": 512,
    "mnist-net_256x4": 1024,
    "cifar_base": 3172,
    "cifar_deep": 6756,
    "cifar_wide": 6244,
    "cartpole": 128,
    "lunarlander": 128,
}
"""Published sizes, by the beginning of the name."""


@pytest.mark.skipif(not MODELS, reason="no benchmark data: set WDAVERIFY_BENCHMARK_DATA")
@pytest.mark.parametrize("path", [pytest.param(p, id=p.name) for p in MODELS])
def test_import_agrees_with_onnxruntime(path: Path) -> None:
    network = load(path)
    assert network.relus == next(count for prefix, count in RELUS.items() if path.name.startswith(prefix))
    content = gzip.decompress(path.read_bytes())
    x = np.random.default_rng(0).uniform(-0.5, 1, (4, network.inputs)).astype(np.float32)
    expected = np.array([runtime(content, row.reshape(1, *network.input_shape)) for row in x])
    result = forward(network, x.astype(np.float64))
    np.testing.assert_allclose(result, expected, rtol=0, atol=2e-6 * (1 + np.abs(expected).max()))
    replayed = float_replay(network, x.astype(np.float64))
    assert replayed is not None
    np.testing.assert_allclose(replayed, expected, rtol=0, atol=2e-6 * (1 + np.abs(expected).max()))
