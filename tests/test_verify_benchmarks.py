"""Published properties of networks with few inputs: the known verdicts, in a known number of boxes; skipped without the data."""

from __future__ import annotations

import gzip
import os
from fractions import Fraction
from pathlib import Path

import pytest

from wdaverify.ir.exact import exact_forward
from wdaverify.ir.load import load
from wdaverify.property.verify import verify

DATA = Path(os.environ.get("WDAVERIFY_BENCHMARK_DATA", Path(__file__).parents[2] / "shared" / "data")) / "acasxu"

CASES = {
    ("1_1", 1): ("unsat", 59),
    ("2_9", 1): ("unsat", 721),
    ("1_9", 2): ("unsat", 763),
    ("2_1", 2): ("sat", 0),
    ("1_6", 2): ("sat", 1500),
    ("1_1", 3): ("unsat", 993),
    ("1_7", 3): ("sat", 0),
    ("1_1", 4): ("unsat", 275),
    ("1_9", 4): ("sat", 0),
}
"""Network and property: the verdict, and the boxes and programs that were needed when this was written."""

SLACK = 1.5
"""A change that needs more boxes than this factor allows is a regression."""


@pytest.mark.skipif(not DATA.exists(), reason="no benchmark data: set WDAVERIFY_BENCHMARK_DATA")
@pytest.mark.parametrize(("name", "number"), [pytest.param(*key, id=f"{key[0]}-{key[1]}") for key in CASES])
def test_published_verdicts(name: str, number: int, tmp_path: Path) -> None:
    expected, boxes = CASES[name, number]
    packed = DATA / "onnx" / f"ACASXU_run2a_{name}_batch_2000.onnx.gz"
    model = tmp_path / packed.stem
    model.write_bytes(gzip.decompress(packed.read_bytes()))
    network = load(model)
    answer = verify(network, DATA / "vnnlib" / f"prop_{number}.vnnlib.gz")
    assert answer.verdict == expected
    assert answer.nodes <= SLACK * boxes + 64
    if answer.witness is not None:
        x = [Fraction(v) for v in answer.witness.tolist()]
        assert answer.property.holds(x, exact_forward(network, x))
