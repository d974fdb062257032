"""Random changes of certificates on a constrained domain: what is still accepted is true of the domain then stated."""

from __future__ import annotations

import json
import math
import random

import numpy as np

import wdaverify as wv
from tests.judge_mutations import mutate
from tests.test_proof_domains import ball_risk, saved
from wdaverify.check.report import check
from wdaverify.feature_domain import Domain

MUTATIONS = 80


def stated(record):
    """The domain of a report; ``None`` where the library itself refuses it."""
    try:
        n = 6
        rows = np.zeros((len(record.get("rows", [])), n))
        for k, row in enumerate(record.get("rows", [])):
            rows[k, row["features"]] = row["coefficients"]
        masks = {name: np.isin(np.arange(n), record.get(name, [])) for name in ("frozen", "integer")}
        ends = [np.broadcast_to(np.array(record[name], dtype=float), n).copy() for name in ("lower", "upper")]
        masks |= {"weights": record.get("weights"), "limits": [row["at_most"] for row in record.get("rows", [])]}
        return Domain(wv.Box(*ends), one_hot=record.get("one_hot", ()), rows=rows, **masks)
    except (wv.InputError, KeyError, IndexError, TypeError, ValueError):
        return None


def test_what_is_accepted_is_true(tmp_path):
    network, report = saved(tmp_path, order=np.inf, norm="linf", radius=0.8)
    assert check(tmp_path / "r.json").accepted
    rng, accepted, known = random.Random(5), 0, {}
    for _ in range(MUTATIONS):
        changed = mutate(report, rng)
        if rng.random() < 0.5:  # the domain is a small part of the file: aim at it
            changed["domain"] = mutate({"domain": report["domain"]}, rng).get("domain")
        (tmp_path / "changed.json").write_text(json.dumps(changed))
        if not check(tmp_path / "changed.json").accepted:
            continue
        accepted += 1
        point, domain = changed["curve"][0], stated(changed["domain"])
        assert (changed["loss"], changed["threat"]["norm"], changed["threat"]["order"]) == ("margin", "linf", "inf")
        if domain is None or point["worst_case_risk"].get("evidence") != "proved":
            continue
        key = json.dumps([changed["domain"], point["radius"]])
        if key not in known:
            known[key] = ball_risk(network, domain, "linf", point["radius"])
        risk = known[key]
        assert math.isfinite(risk)
        assert float(point["worst_case_risk"]["lower"]) <= risk + 1e-6
        assert float(point["worst_case_risk"]["upper"]) >= risk - 1e-6
    assert accepted > MUTATIONS / 20
