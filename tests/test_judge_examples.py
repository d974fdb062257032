"""Certificates by hand: every kind of claim is accepted where it is true, and rejected one step beyond."""

from __future__ import annotations

import pytest

from tests import judge_examples as ex
from wdaverify.check.report import check


@pytest.mark.parametrize("name", ex.EXAMPLES)
def test_true_certificates_are_accepted(name, tmp_path):
    verdict = check(ex.write(tmp_path, ex.EXAMPLES[name](tmp_path)))
    assert verdict.accepted, verdict.message
    assert verdict.brackets >= 1
