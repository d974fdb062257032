"""A run that is stopped goes on from its journal and ends where an undisturbed one does."""

from __future__ import annotations

import numpy as np
import pytest

import wdaverify as wv
from tests.attack_cases import FAST, labelled
from tests.networks import random_mlp
from wdaverify._errors import InputError

BALL = wv.WassersteinBall(0.1, order=2)
NETWORK = random_mlp([4, 9, 3], 8)


def _data(seed=6):
    return labelled(NETWORK, np.random.default_rng(seed).random((10, 4)))


def _stop_after(batches):
    def progress(done, total, accuracy):
        assert total == 10
        assert 0 <= accuracy <= 1
        if done >= 3 * batches:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("method", ["wda++", "wda"])
def test_an_interrupted_run_resumes_to_the_same_result(tmp_path, method):
    options = {**FAST, "method": method, "batch_size": 3}
    whole = wv.attack(NETWORK, _data(), BALL, **options)
    partial = wv.attack(NETWORK, _data(), BALL, journal=tmp_path, progress=_stop_after(2), **options)
    assert partial.interrupted
    assert not whole.interrupted
    assert np.array_equal(partial.distances[:6], whole.distances[:6])
    assert np.isfinite(whole.distances).sum() >= 3
    assert np.isinf(partial.distances[6:]).all()
    assert partial.worst_case_accuracy >= whole.worst_case_accuracy
    heard = []
    resumed = wv.attack(NETWORK, _data(), BALL, journal=tmp_path, progress=lambda *news: heard.append(news), **options)
    assert not resumed.interrupted
    assert [done for done, _, _ in heard] == [9, 10]
    assert heard[-1][2] == pytest.approx(whole.robust_accuracy)
    assert np.array_equal(resumed.points, whole.points, equal_nan=True)
    assert np.array_equal(resumed.distances, whole.distances)
    assert resumed.parts == whole.parts
    assert resumed.backward == whole.backward
    assert [p.worst_case_accuracy for p in resumed.curve] == [p.worst_case_accuracy for p in whole.curve]


def test_a_finished_journal_costs_no_gradient_and_serves_other_batches(tmp_path):
    first = wv.attack(NETWORK, _data(), BALL, journal=tmp_path, batch_size=4, **FAST)
    again = wv.attack(NETWORK, _data(), BALL, journal=tmp_path, batch_size=7, radii=[0.05], **FAST)
    assert again.backward == first.backward
    assert np.array_equal(again.distances, first.distances)


def test_a_journal_of_another_question_is_refused(tmp_path):
    wv.attack(NETWORK, _data(), BALL, journal=tmp_path, **FAST)
    other = random_mlp([4, 9, 3], 6)
    others = [
        lambda: wv.attack(other, _data(), BALL, journal=tmp_path, **FAST),
        lambda: wv.attack(NETWORK, _data(7), BALL, journal=tmp_path, **FAST),
        lambda: wv.attack(NETWORK, _data(), BALL, journal=tmp_path, domain=wv.Box(0, 2), **FAST),
        lambda: wv.attack(NETWORK, _data(), BALL, journal=tmp_path, seed=1, **FAST),
        lambda: wv.attack(NETWORK, _data(), BALL, journal=tmp_path, method="wda", **FAST),
        lambda: wv.attack(NETWORK, _data(), wv.WassersteinBall(0.1, norm="l1"), journal=tmp_path, **FAST),
    ]
    for call in others:
        with pytest.raises(InputError, match="another model, data or options"):
            call()


def test_damaged_journals_and_impossible_folders_are_refused(tmp_path):
    wv.attack(NETWORK, _data(), BALL, journal=tmp_path / "a", **FAST)
    (file,) = (tmp_path / "a").glob("batch-*.npz")
    assert not list((tmp_path / "a").glob("*.part"))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="delete this file"):
        wv.attack(NETWORK, _data(), BALL, journal=tmp_path / "a", **FAST)
    with pytest.raises(InputError, match="cannot be made"):
        wv.attack(NETWORK, _data(), BALL, journal=file, **FAST)
