"""Every exact answer of the reference cases is proved, in leaves of at most 500 compressed bytes."""

from __future__ import annotations

import gzip
import json

import pytest

from benchmarks import proof_questions as questions
from benchmarks.proofs import FEW, LARGE, answers, measure, stream_size
from wdaverify.check.report import check

QUICK = (
    "g01_ramp_R linf order inf", "g01_ramp_R l2 order 3", "g01_ramp_R linf order 1.5",
    "g08_argmax_restricted_L linf", "g11_2d_K2 linf order inf",
    "degen", "iris_4-8-8-3 linf logit:0", "radius-0.02 linf logit:0", "radius-0.02 l1 margin:0-2",
)  # fmt: skip
"""What is always asked; the benchmark ``proofs`` and the slow tests ask everything."""


def chosen():
    for question in (*questions.golden(), *questions.anchors()):
        quick = any(part in question.name for part in QUICK) or question.name == "g11_2d_K2 linf"
        yield pytest.param(question, id=question.name, marks=[] if quick else [pytest.mark.slow])


@pytest.mark.parametrize("question", list(chosen()))
def test_exact_answers_are_proved(question):
    found = measure(question)  # raises if the judge refuses what was written
    assert found.exact > 0
    assert found.proved == found.exact
    assert found.leaves < FEW or found.per_leaf <= LARGE


def test_the_size_of_streams_counts_files_and_records(tmp_path):
    (tmp_path / "s.gz").write_bytes(gzip.compress(b'{"t":"leaf"}\n{"t":"end","records":1,"leaves":1}\n'))
    leaf, end = {"t": "leaf", "k": "bound"}, {"t": "end", "records": 2, "leaves": 2}
    proof = {"streams": [{"claim": "a", "file": "s.gz"}, {"claim": "b", "records": [leaf, leaf, end]}]}
    leaves, size = stream_size(proof, tmp_path)
    assert leaves == 3
    assert size > (tmp_path / "s.gz").stat().st_size


def test_answers_of_all_kinds():
    bracket = {"status": "exact", "evidence": "checked"}
    report = {"verdict": "unsat", "evidence": "proved", "curve": [{"worst_case_risk": bracket}]}
    assert list(answers(report)) == [(True, "proved"), (True, "checked")]


@pytest.mark.parametrize(("kind", "said"), [("attack", "carries no proof"), ("bench", "carries no proof"), ("other", "'other'")])
def test_files_without_proofs_are_told_apart(kind, said, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"schema": "wdaverify/1", "semantics": "real", "kind": kind}))
    verdict = check(tmp_path / "a.json")
    assert not verdict.accepted
    assert said in verdict.message
