"""Files that backends write are read back by other programs with the same optimum."""

from __future__ import annotations

from dataclasses import replace

import highspy
import pulp
import pytest

from tests.backend_cases import ids
from tests.program_bank import LINEAR, MIXED_INTEGER, program
from wdaverify.program.backend import get_backend
from wdaverify.program.result import Status
from wdaverify_solvers.files import lp_text, mps_text
from wdaverify_solvers.pulp import CbcBackend


class TestExport:
    @pytest.mark.parametrize("case", [*LINEAR[:-1], *MIXED_INTEGER[:-2]], ids=ids)
    @pytest.mark.parametrize("suffix", ["mps", "lp"])
    def test_other_readers_find_the_same_optimum(self, case, suffix, tmp_path):
        path = tmp_path / f"program.{suffix}"
        backend = CbcBackend()
        (backend.write_mps if suffix == "mps" else backend.write_lp)(case.program, path)
        reader = highspy.Highs()
        reader.silent()
        assert reader.readModel(str(path)) == highspy.HighsStatus.kOk
        assert reader.run() == highspy.HighsStatus.kOk
        assert reader.getInfo().objective_function_value == pytest.approx(case.optimum, abs=1e-6)

    def test_pulp_reads_the_mps_file(self, tmp_path):
        path = tmp_path / "program.mps"
        task = replace(MIXED_INTEGER[2].program, constant=0.0)  # PuLP's reader knows no constant
        CbcBackend().write_mps(task, path)
        variables, problem = pulp.LpProblem.fromMPS(str(path))
        assert [variables["X0"].cat, variables["X1"].lowBound, variables["X1"].upBound] == ["Integer", 0.5, 9.0]
        assert len(problem.constraints) == 1

    def test_every_digit_is_kept(self):
        third = 1 / 3
        task = program([third], [[third]], [(-third, third)], [(-third, third)])
        for text in (mps_text(task), lp_text(task)):
            words = text.replace("+", " ").split()
            assert sum(_is(word, third) for word in words) >= 4
            assert sum(_is(word, -third) for word in words) == 2

    def test_nothing_is_left_behind(self, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        assert get_backend("cbc").solve(MIXED_INTEGER[0].program).status is Status.OPTIMAL
        assert list(tmp_path.iterdir()) == []


def _is(word, number):
    try:
        return float(word) == number
    except ValueError:
        return False
