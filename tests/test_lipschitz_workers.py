"""Constants from several processes are those of one; what processes lose, or Ctrl-C, leaves a valid bracket."""

from __future__ import annotations

import numpy as np
import pytest

from tests.networks import random_mlp
from wdaverify._errors import InputError, WorkerLostError
from wdaverify.domain import Box
from wdaverify.growth import workers as workers_module
from wdaverify.growth.constants import lipschitz_constants
from wdaverify.growth.options import LipschitzOptions
from wdaverify.growth.record import Interrupted

NETWORK = random_mlp([3, 6, 5, 3], 1)
NAMES = ["label:0", "label:1", "loss:margin:2"]


def ends(constants):
    return [(c.functional, str(c.norm), c.value.lower, c.value.upper) for c in constants]


@pytest.mark.parametrize("domain", [Box(-1, 1), Box.whole_space()])
def test_two_processes_find_what_one_does(domain):
    norms = ("linf", "l2")
    one, two = (
        lipschitz_constants(NETWORK, NAMES, domain=domain, norms=norms, options=LipschitzOptions(workers=n)) for n in (1, 2)
    )
    for a, b in zip(ends(one), ends(two), strict=True):
        assert a[:2] == b[:2]
        np.testing.assert_allclose(a[2:], b[2:], rtol=1e-9)
    assert [c.slope is None for c in one] == [c.slope is None for c in two]


def test_norms_are_shared_where_functionals_are_few():
    (one,), (two,) = (
        [lipschitz_constants(NETWORK, ["label:0"], domain=Box(-1, 1), norms=("linf", "l1"), options=LipschitzOptions(workers=n))]
        for n in (1, 3)
    )
    np.testing.assert_allclose([e[2:] for e in ends(one)], [e[2:] for e in ends(two)], rtol=1e-9)


def test_a_lost_process_costs_its_piece_only(monkeypatch):
    finished = workers_module.as_finished

    class Lost:
        def result(self):
            raise WorkerLostError("it died")

    def losing(executor, calls, *, hands):
        for k, future in finished(executor, calls, hands=hands):
            yield k, Lost() if k == 1 else future

    monkeypatch.setattr(workers_module, "as_finished", losing)
    with pytest.warns(RuntimeWarning, match="label:1: left to products of operator norms: it died"):
        found = lipschitz_constants(NETWORK, NAMES, domain=Box(-1, 1), options=LipschitzOptions(workers=2))
    assert [constant.value.exact for constant in found] == [True, False, True]
    assert found[1].value.lower == 0.0


def test_an_interrupt_keeps_what_is_finished(monkeypatch):
    finished = workers_module.as_finished

    def interrupting(executor, calls, *, hands):
        yield next(iter(finished(executor, calls, hands=hands)))
        raise KeyboardInterrupt

    monkeypatch.setattr(workers_module, "as_finished", interrupting)
    with pytest.raises(Interrupted) as stopped:
        lipschitz_constants(NETWORK, NAMES, domain=Box(-1, 1), options=LipschitzOptions(workers=2))
    found = stopped.value.constants
    assert [c.functional for c in found] == NAMES
    assert any(c.value.exact for c in found)
    assert all(c.value.upper > 0 for c in found)


def test_workers_are_counted():
    with pytest.raises(InputError, match="workers"):
        LipschitzOptions(workers=0)
