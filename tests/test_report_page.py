"""Pages as text: what they say against independent arithmetic, strict JSON for the plots, evidence, and refusals."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wdaverify as wv
from wdaverify.cli.main import main
from wdaverify.knapsack import fill
from wdaverify.report.numbers import percent_bracket, shown_down, shown_up
from wdaverify.report.page.between_radii import between_radii
from wdaverify.report.page.images import as_image, change_picture, image_shape, picture, reduced
from wdaverify.report.page.kinds import KINDS
from wdaverify.report.page.material import Material
from wdaverify.report.page.results import risk_material
from wdaverify.report.page.save import render
from wdaverify.report.transport_curve import transport_curve
from wdaverify.transport import Atom, TransportPlan

INSTANCES = Path(__file__).parents[1] / "instances"
IRIS = (str(INSTANCES / "iris/iris-16-16.onnx"), "--data", str(INSTANCES / "iris/iris-test.npz"))
FINITE = st.floats(-1e12, 1e12)


@given(FINITE, st.integers(1, 12))
def test_ends_are_never_rounded_inwards(value, digits):
    assert Fraction(shown_down(value, digits)) <= Fraction(value) <= Fraction(shown_up(value, digits))


@given(st.floats(0, 1), st.floats(0, 1))
def test_shares_that_are_told_apart_hold_the_bracket(a, b):
    lower, upper = min(a, b), max(a, b)
    words = percent_bracket(lower, upper).replace("\u00a0%", "").split(" to ")
    if len(words) == 2:
        assert Fraction(words[0]) / 100 <= Fraction(lower)
        assert Fraction(words[1]) / 100 >= Fraction(upper)
    else:
        assert abs(float(words[0]) / 100 - lower) <= 1e-4


@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 2.0, math.inf]), min_size=1, max_size=6), st.sampled_from([1.0, 2.0, math.inf])
)
def test_curves_between_radii_are_those_of_the_knapsack(lengths, order):
    weights = [Fraction(1, len(lengths))] * len(lengths)
    for radius in (0.0, 0.05, 0.1, 0.3, 5.0):
        drawn = transport_curve(lengths, [float(w) for w in weights], np.array([radius]), order)[0]
        assert drawn == pytest.approx(float(fill(lengths, weights, radius=radius, order=order, costly=True).value), abs=1e-9)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=5), st.sampled_from([1.0, 2.0, 3.5, math.inf]), st.integers(0, 2**16))
def test_ends_between_radii_hold_every_risk_that_fits(steps, order, seed):
    """Risks are drawn as minima of lines in r^p (order inf: as staircases), and known up to brackets at some radii."""
    random = np.random.default_rng(seed)
    known = np.concatenate([[0.0], np.cumsum(steps)])
    radii = np.linspace(0.0, known[-1], 41)
    if math.isinf(order):
        jumps, heights = random.uniform(0, known[-1], 4), random.uniform(0, 1, 4)

        def risk(r):
            return (heights * (jumps <= r[:, None])).sum(axis=1)

    else:
        slopes, offsets = random.uniform(0, 3, 4), random.uniform(0, 1, 4)

        def risk(r):
            return (offsets + slopes * r[:, None] ** order).min(axis=1)

    truth = risk(known)
    lower, upper = truth - random.uniform(0, 0.2, len(known)), truth + random.uniform(0, 0.2, len(known))
    below, above = between_radii(known, lower, upper, radii, order)
    assert (below <= risk(radii) + 1e-9).all()
    assert (risk(radii) <= above + 1e-9).all()


def test_pictures_are_what_another_reader_sees():
    image = pytest.importorskip("PIL.Image")

    def pixels(address: str) -> np.ndarray:
        return np.asarray(image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))))

    grey = np.arange(12.0).reshape(3, 4, 1)
    assert pixels(picture(grey, 0.0, 11.0)).tolist() == np.rint(grey[:, :, 0] / 11 * 255).tolist()
    colours = np.random.default_rng(0).integers(0, 256, (3, 5, 4)).astype(float)
    assert image_shape((3, 5, 4)) == (5, 4, 3)
    assert (
        pixels(picture(as_image(colours.ravel(), (3, 5, 4), (5, 4, 3)), 0.0, 255.0)).tolist()
        == np.moveaxis(colours, 0, -1).tolist()
    )
    halved = reduced(grey, 2)[:, :, 0].tolist()  # rows 0-1 and 2, columns 0-1 and 2-3; the last row has only itself
    assert halved == [[2.5, 4.5], [8.5, 10.5]]
    change = pixels(change_picture(np.array([[[0.5], [0.0], [-0.5]]])))
    assert change.tolist() == [[[213, 94, 0], [255, 255, 255], [0, 114, 178]]]


def _strict(text: str):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def figures(page: str) -> list[dict]:
    found = re.findall(r'<script type="application/json" data-plot="[^"]*">(.*?)</script>', page, re.DOTALL)
    return [_strict(text.replace("var(--ink)", "#000000").replace("var(--paper)", "#ffffff")) for text in found]


@pytest.fixture(scope="module")
def certificate():
    network = wv.load(IRIS[0])
    data = wv.Dataset.load(IRIS[2]).first(6)
    return wv.certify(network, data, wv.WassersteinBall(radius=0.05), radii=[0.1, 0.02, 0.05])


def test_the_page_of_a_risk_says_what_the_certificate_says(certificate):
    page = render(risk_material(certificate))
    upper = next(trace for trace in figures(page)[0]["data"] if trace["name"] == "certified (upper end)")
    drawn = dict(zip(upper["x"], upper["y"], strict=True))
    for point in certificate.curve:
        # the certificate closes the bracket of the risk further than those of the distances
        assert -1e-12 <= drawn[point.radius] - point.risk.upper <= 1e-6
        assert f"[{shown_down(point.risk.lower)}, {shown_up(point.risk.upper)}]" in page
    assert ">checked</span>" in page
    assert ">proved</span>" not in page
    assert certificate.network.source.sha256 in page


def test_plots_are_valid_to_plotly_itself(certificate):
    graph = pytest.importorskip("plotly.graph_objects")
    drawn = figures(render(risk_material(certificate)))
    assert drawn
    for figure in drawn:
        graph.Figure(figure)  # refuses what it does not know


def test_infinite_ends_and_absent_points_are_shown(certificate):
    material = risk_material(certificate)
    document = json.loads(json.dumps(material.document))
    document["distances"][0] |= {"target": None, "point": None}
    document["distances"][0]["distance"] |= {"lower": 0.25, "upper": "inf", "status": "bracket"}
    document["curve"][0]["worst_case_risk"] |= {"upper": "inf", "status": "bracket"}
    document["bounds"][0]["worst_case_risk"] = ["inf"] * len(document["curve"])
    page = render(Material(document=document, data=material.data, shape=material.shape, plans=material.plans))
    assert "∞" in page
    assert "no error is known" in page
    assert all("Infinity" not in json.dumps(figure) for figure in figures(page))


def test_evidence_is_that_of_the_file(certificate, tmp_path):
    certificate.save(tmp_path / "risk.json")
    wv.save_report(certificate, tmp_path / "risk.html", certificate=tmp_path / "risk.json")
    page = (tmp_path / "risk.html").read_text(encoding="utf-8")
    proved = sum(
        point["worst_case_risk"]["evidence"] == "proved" for point in json.loads((tmp_path / "risk.json").read_text())["curve"]
    )
    assert proved == 3
    assert ">proved</span>" in page
    assert "wdaverify check risk.json" in page
    other = tmp_path / "other.json"
    other.write_text((tmp_path / "risk.json").read_text().replace("zero-one", "hinge"))
    with pytest.raises(wv.InputError, match="is not the file of this result: its loss"):
        wv.save_report(certificate, tmp_path / "again.html", certificate=other)
    assert not (tmp_path / "again.html").exists()


def test_attacks_need_their_network(certificate, tmp_path):
    found = wv.attack(certificate.network, certificate.data, certificate.ball, method="pgd", steps=2, device="cpu")
    with pytest.raises(wv.InputError, match="needs network="):
        wv.save_report(found, tmp_path / "attack.html")
    wv.save_report(found, tmp_path / "attack.html", network=certificate.network)
    assert "An attack cannot say that no distribution is worse" in (tmp_path / "attack.html").read_text(encoding="utf-8")


COMMANDS = {
    "certify": ["certify", *IRIS],
    "certify without data": ["certify", IRIS[0]],
    "lipschitz": ["lipschitz", IRIS[0]],
    "distance": ["distance", *IRIS],
    "attack": ["attack", *IRIS],
    "bench": ["bench", str(INSTANCES / "suite.csv")],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("report", "words"),
    [
        ("report.pdf", "give a name that ends in .html"),
        ("nowhere/report.html", "cannot write there: No such file or directory"),
        ("folder.html", "is a folder"),
        ("result.html", "is also the file of --output"),
    ],
)
def test_pages_that_cannot_be_written_are_refused_before_any_work(tmp_path, monkeypatch, capsys, command, report, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("wdaverify.ir.load.load", lambda *_: pytest.fail("work was begun"))
    monkeypatch.setattr("wdaverify.cli.bench.run_instances", lambda *_, **__: pytest.fail("work was begun"))
    Path("folder.html").mkdir()
    status = main([*COMMANDS[command], "--report", report, "--output", "result.html"])
    captured = capsys.readouterr()
    assert (status, captured.out, captured.err.count("\n")) == (2, "", 1)
    assert report in captured.err
    assert words in captured.err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


def test_every_kind_has_its_answer_first():
    assert {kind: sections[0].__name__ for kind, sections in KINDS.items()} == {
        kind: f"answer_{kind}" for kind in ("risk", "attack", "distance", "lipschitz", "bench")
    }


def test_commands_without_a_page_do_not_load_what_makes_one():
    program = (
        "import sys; from wdaverify.cli.main import main; main(sys.argv[1:]); "
        "sys.exit(bool({'plotly', 'jinja2', 'wdaverify.report.page'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program, "inspect", IRIS[0]], check=False, capture_output=True).returncode == 0


def _large(count: int, shape: tuple[int, ...], radii: int) -> Material:
    """A risk about many large images whose atoms all move."""
    size, random = math.prod(shape), np.random.default_rng(0)
    data = wv.Dataset(random.random((count, size)), random.integers(0, 10, count))
    atoms = tuple(
        Atom(source=i, label=int(data.y[i]), mass=1 / count, cost=0.1, point=np.clip(data.x[i] + 0.1, 0, 1)) for i in range(40)
    )
    risk = {"lower": 0.5, "upper": 0.75, "status": "bracket", "evidence": "checked"}
    record = {"label": 0, "distance": {**risk, "lower": 0.123456789, "upper": 0.234567891}, "target": 1, "point": None}
    names = ("schema", "kind", "loss", "nominal_risk", "seconds", "interrupted", "bounds")
    document = dict(zip(names, ("wdaverify/1", "risk", "zero-one", 0.1, 1.0, False, []), strict=True))
    document |= {
        "model": {"file": None, "sha256": None, "inputs": size, "outputs": 10, "relus": 5},
        "data": {"file": None, "sha256": None, "samples": count},
        "domain": {"lower": 0.0, "upper": 1.0},
        "options": {"norm": "linf", "gap": 1e-6},
        "versions": {"wdaverify": "0"},
        "threat": {"norm": "linf", "order": 1.0},
        "curve": [{"radius": 0.01 * k, "worst_case_risk": risk, "multiplier": 1.0, "plan": {"atoms": []}} for k in range(radii)],
        "distances": [{**record, "sample": i} for i in range(count)],
    }
    return Material(document=document, data=data, shape=shape, plans=[TransportPlan(atoms)] * radii)


@pytest.mark.parametrize(("count", "shape", "radii"), [(20_000, (3,), 60), (300, (3, 224, 224), 3), (500, (3, 32, 32), 20)])
def test_pages_about_large_results_stay_small(count, shape, radii):
    page = render(_large(count, shape, radii))
    assert len(page.encode()) < 6 * 10**6
    assert "left out" in page
    assert ('<img src="data:image/png' in page) is (len(shape) == 3)
