"""The published JSON Schema: it is what the records say, every kind of file satisfies it, and it refuses other files."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import wdaverify as wv
from wdaverify.attack.document import save_attack
from wdaverify.cli.main import main
from wdaverify.report import json as report_json
from wdaverify.report import records, schema

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "docs" / "schema" / "wdaverify-1.schema.json"
IRIS, IRIS_DATA = "instances/iris/iris-16-16.onnx", "instances/iris/iris-test.npz"
PROPERTIES = ROOT / "instances" / "properties"

LIST = """command,model,data,samples,radius,norm,timeout
certify,iris.onnx,iris.npz,2,0.02,linf,60
certify,iris.onnx,digits.npz,2,0.02,linf,60
"""

COMMANDS = {
    "risk": f"certify {IRIS} --data {IRIS_DATA} --samples 2 --radius 0.02,0.5",
    "risk of order inf": f"certify {IRIS} --data {IRIS_DATA} --samples 3 --radius 0.02 --order inf --no-proof",
    "risk of a loss": f"certify {IRIS} --data {IRIS_DATA} --samples 3 --radius 0.02 --loss hinge",
    "risk with constraints": "certify instances/cancer/cancer-16-8.onnx --data instances/cancer/cancer-test.npz --samples 2"
    " --domain instances/cancer/cancer.toml --radius 0.02 --time-limit 4 --loss margin",
    "risk by milp": f"certify {IRIS} --data {IRIS_DATA} --samples 2 --radius 0.02 --engine milp",
    "constants of labels": f"certify {IRIS}",
    "lipschitz": f"lipschitz {IRIS} --functional margin:0-1",
    "lipschitz on Rn": "lipschitz tests/data/lipschitz/degen_abs_identity_1-2-1.onnx --domain Rn --functional logit:0",
    "distance": f"distance {IRIS} --data {IRIS_DATA} --samples 3",
    "no error at all": "distance tests/data/hostile/two_class.onnx --data tests/data/hostile/d00_good.npz --domain 0,1",
    "attack": f"attack {IRIS} --data {IRIS_DATA} --samples 4 --radius 0.001,0.05 --device cpu",
    "sat": f"verify {IRIS} instances/properties/iris-7-0.1.vnnlib",
    "unsat": f"verify {IRIS} instances/properties/iris-0-0.02.vnnlib",
    "inspect": f"inspect {IRIS} --domain 0,1",
}


PROVED = {"risk", "lipschitz", "distance", "sat", "unsat"}


@pytest.fixture(scope="module")
def validator():
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(published)
    return jsonschema.Draft202012Validator(published)


def test_the_published_file_is_made_from_the_records():
    assert PUBLISHED.read_text(encoding="utf-8") == schema.text(), "run python docs/make_schema.py"


def test_every_kind_of_document_is_in_the_schema():
    kinds = {each for each in vars(records).values() if isinstance(each, type) and each.__name__.endswith("Document")}
    assert kinds - {records.Document} == set(schema.DOCUMENTS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_writes_what_the_schema_says(name, validator, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    target = tmp_path / "out.json"
    assert main([*COMMANDS[name].split(), "--output", str(target), "--quiet"]) == 0
    document = json.loads(target.read_text(encoding="utf-8"))
    validator.validate(document)
    assert "proof" in document or name not in PROVED


def test_lists_of_instances(validator, tmp_path):
    for source, name in ((IRIS, "iris.onnx"), (IRIS_DATA, "iris.npz"), ("instances/digits/digits-test.npz", "digits.npz")):
        (tmp_path / name).write_bytes((ROOT / source).read_bytes())
    (tmp_path / "list.csv").write_text(LIST, encoding="utf-8")
    target = tmp_path / "out.json"
    arguments = ["--results", str(tmp_path / "results.csv"), "--output", str(target), "--quiet"]
    assert main(["bench", str(tmp_path / "list.csv"), *arguments]) == 0
    document = json.loads(target.read_text(encoding="utf-8"))
    validator.validate(document)
    assert [instance["verdict"] for instance in document["instances"]] == ["exact", "error"]


def test_plans_whose_points_lie_beside(validator, tmp_path, monkeypatch):
    monkeypatch.setattr(report_json, "INLINE_COORDINATES", 1)
    network = wv.load(ROOT / IRIS)
    data = wv.Dataset.load(ROOT / IRIS_DATA).first(3)
    save_attack(wv.attack(network, data, wv.WassersteinBall(0.05), device="cpu"), tmp_path / "out.json", network=network)
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    validator.validate(document)
    assert np.load(tmp_path / document["curve"][0]["plan"]["points"])["points"].shape[1] == 4


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    network, data = wv.load(ROOT / IRIS), wv.Dataset.load(ROOT / IRIS_DATA).first(2)
    target = tmp_path_factory.mktemp("schema") / "out.json"
    wv.certify(network, data, wv.WassersteinBall(0.02), comparison_time=0).save(target)
    return json.loads(target.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("kind",), "risks"),
        (("schema",), "wdaverify/2"),
        (("semantics",), "float"),
        (("more",), 1),
        (("threat", "norm"), "l3"),
        (("curve", 0, "worst_case_risk", "status"), "about"),
        (("curve", 0, "worst_case_risk", "evidence"), "guessed"),
        (("curve", 0, "worst_case_risk", "lower"), "0.25"),
        (("curve", 0, "plan", "atoms", 0, "mass"), None),
        (("distances", 0, "sample"), 0.5),
        (("distances", 0, "distance", "upper"), "infinity"),
        (("proof", "format"), "wdaverify-proof/2"),
        (("proof", "streams", 0), {"claim": "c0"}),
        (("model", "inputs"), "4"),
    ],
    ids=str,
)
def test_other_values_are_refused(path, value, validator, written):
    validator.validate(written)
    changed = copy.deepcopy(written)
    place = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert not validator.is_valid(changed)


@pytest.mark.parametrize("field", ["kind", "schema", "model", "data", "curve", "nominal_risk", "interrupted"])
def test_no_field_may_be_missing(field, validator, written):
    assert not validator.is_valid({name: value for name, value in written.items() if name != field})
