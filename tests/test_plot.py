"""Figures carry the numbers of the results they are made of."""

from __future__ import annotations

import dataclasses

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.text import Annotation

import wdaverify as wv
from tests.networks import random_mlp

ROOT = "instances"
RADII = [0.05, 0.01, 0.1]


@pytest.fixture(autouse=True)
def _figures_are_closed():
    with mpl.rc_context({"backend": "Agg"}):
        yield
        pyplot.close("all")


@pytest.fixture(scope="module")
def planar():
    network = wv.load(f"{ROOT}/planar/moons-16-16.onnx")
    data = wv.Dataset.load(f"{ROOT}/planar/moons-test.npz").first(8)
    return network, data, wv.certify(network, data, wv.WassersteinBall(0.05), radii=RADII, comparison_time=0)


@pytest.fixture(scope="module")
def attacked(planar):
    network, data, certificate = planar
    return wv.attack(network, data, certificate.ball, device="cpu")


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_a_curve_is_the_certificate(planar):
    certificate = planar[2]
    drawn = lines(wv.plot.risk_curve(certificate))
    points = sorted(certificate.curve, key=lambda point: point.radius)
    assert drawn["upper end"].get_xdata().tolist() == sorted(RADII)
    assert drawn["upper end"].get_ydata().tolist() == [point.risk.upper for point in points]
    assert drawn["lower end"].get_ydata().tolist() == [point.risk.lower for point in points]
    assert set(drawn["nominal risk"].get_ydata()) == {certificate.nominal_risk}
    order = np.argsort(RADII)
    shown = [bound for bound in certificate.bounds if bound.worst_case_risk and np.isfinite(bound.worst_case_risk).any()]
    assert shown
    for bound in shown:
        assert drawn[bound.name].get_ydata().tolist() == np.array(bound.worst_case_risk)[order].tolist()
    assert not {bound.name for bound in shown} & set(lines(wv.plot.risk_curve(certificate, bounds=False)))


def test_an_attack_is_a_lower_end_in_the_curve(planar, attacked):
    drawn = lines(wv.plot.risk_curve(planar[2], attack=attacked))["found by wda++"]
    assert drawn.get_xdata().tolist() == [0.05]
    assert drawn.get_ydata().tolist() == [1 - attacked.worst_case_accuracy]
    assert drawn.get_ydata()[0] <= planar[2].risk.upper


def test_infinite_ends_leave_a_gap(planar):
    certificate = planar[2]
    point = certificate.curve[0]
    open_end = dataclasses.replace(point, risk=wv.Bracket(lower=0.5, upper=np.inf))
    drawn = lines(wv.plot.risk_curve(dataclasses.replace(certificate, curve=(open_end, *certificate.curve[1:]))))
    assert np.isnan(drawn["upper end"].get_ydata()).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss": "hinge"}, "hinge"),
        ({"ball": wv.WassersteinBall(0.05, order=2)}, "order 1 and linf, the certificate about order 2"),
        ({"data": wv.Dataset([[0.5, 0.5]], [0])}, "other samples"),
    ],
)
def test_attacks_on_another_question_are_refused(planar, attacked, change, words):
    with pytest.raises(wv.InputError, match=words):
        wv.plot.risk_curve(dataclasses.replace(planar[2], **change), attack=attacked)


def test_figures_go_into_the_axes_that_are_given(planar):
    network, data, certificate = planar
    _, (one, two, three) = pyplot.subplots(1, 3)
    assert wv.plot.risk_curve(certificate, ax=one) is one
    assert wv.plot.cells(network, wv.Box(0, 1), ax=two) is two
    assert wv.plot.plan(certificate.plan, data, ax=three) is three
    assert len(pyplot.get_fignums()) == 1


def polygons(ax):
    [collection] = [c for c in ax.collections if type(c) is PolyCollection]
    return collection


def test_all_cells_are_drawn_with_the_norms_of_their_gradients(planar):
    network, _, _ = planar
    box = wv.Box([0.0, 0.25], [1.0, 0.75])
    ax = wv.plot.cells(network, box, functional="margin:1-0", norm="l1")
    drawn, found = polygons(ax), list(wv.cells(network, box))
    areas = []
    for path in drawn.get_paths():
        x, y = path.vertices[:-1].T
        areas.append(0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
    assert len(areas) == len(found)
    assert min(areas) > 0
    assert sum(areas) == pytest.approx(0.5, abs=1e-12)
    expected = [np.abs(cell.weight[1] - cell.weight[0]).max() for cell in found]
    assert drawn.get_array().tolist() == pytest.approx(expected, rel=1e-12)
    constant = wv.lipschitz(network, "margin:1-0", norm="l1", domain=box)
    assert max(drawn.get_array()) == pytest.approx(constant.upper, rel=1e-6)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0.0, 1.0), (0.25, 0.75))


def test_arrows_lead_from_samples_to_their_points(planar):
    network, data, certificate = planar
    ax = wv.plot.cells(network, wv.Box(0, 1), data=data, plan=certificate.plan)
    arrows = {(tuple(text.xyann), tuple(text.xy)) for text in ax.texts if isinstance(text, Annotation)}
    moved = certificate.plan.moved
    assert moved
    assert arrows == {(tuple(data.x[atom.source]), tuple(atom.point)) for atom in moved}
    marks = [c.get_offsets() for c in ax.collections if type(c).__name__ == "PathCollection"]
    assert sorted(map(tuple, np.concatenate(marks).tolist())) == sorted(map(tuple, data.x.tolist()))


def test_the_boundary_has_two_sides(planar):
    network, _, _ = planar
    ax = wv.plot.cells(network, wv.Box(0, 1))
    [boundary] = [c for c in ax.collections if type(c) is LineCollection]
    middles = np.array([segment.mean(axis=0) for segment in boundary.get_segments()])
    assert len(middles) > 3
    for point in middles:  # rounded to floats, the margin is all but 0 in cells whose gradients are at most 144 long
        logits = network_at(network, point)
        assert abs(logits[0] - logits[1]) < 1e-12
    bare = wv.plot.cells(network, wv.Box(0.4, 0.5), boundary=False)
    assert not [c for c in bare.collections if type(c) is LineCollection]


def network_at(network, point):
    from wdaverify.ir.exact import exact_forward

    return [float(v) for v in exact_forward(network, point.tolist())]


def test_what_cannot_be_drawn_is_refused(planar):
    network, data, certificate = planar
    with pytest.raises(wv.InputError, match="2 inputs only; this one has 3"):
        wv.plot.cells(random_mlp([3, 4, 2], 0), wv.Box(0, 1))
    for box in (wv.Box.whole_space(), wv.Box([0, 1], [1, 1])):
        with pytest.raises(wv.DomainError, match="finite, positive width"):
            wv.plot.cells(network, box)
    with pytest.raises(wv.InputError, match="give the data too"):
        wv.plot.cells(network, wv.Box(0, 1), plan=certificate.plan)
    with pytest.raises(wv.InputError, match="not among the 1 of the data"):
        wv.plot.cells(network, wv.Box(0, 1), plan=certificate.plan, data=data.first(1))
    with pytest.raises(wv.InputError, match="3 coordinates"):
        wv.plot.cells(network, wv.Box(0, 1), data=wv.Dataset([[0, 0, 0]], [0]))
    with pytest.raises(wv.InputError, match="more than 5 cells"):
        wv.plot.cells(network, wv.Box(0, 1), limit=5)
    assert not pyplot.get_fignums()  # nothing half-drawn is left behind


def heaviest(plan, data):
    return sorted(plan.moved, key=lambda atom: -atom.mass * atom.cost)


def test_a_plan_is_drawn_as_changes(planar):
    _, data, certificate = planar
    plan = certificate.curve[2].plan
    atoms = heaviest(plan, data)
    assert len(atoms) > 2
    ax = wv.plot.plan(plan, data, names=["east", "north"], most=2)
    expected = [atom.point - data.x[atom.source] for atom in atoms[:2]]
    assert np.array_equal(ax.images[0].get_array(), expected)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["east", "north"]
    assert [text.get_text().split(",")[0] for text in ax.get_yticklabels()] == [f"sample {a.source}" for a in atoms[:2]]
    assert ax.get_title() == f"2 of {len(atoms)} atoms that move"


def test_a_plan_is_drawn_as_images():
    network = wv.load(f"{ROOT}/digits/digits-64-32-16.onnx")
    data = wv.Dataset.load(f"{ROOT}/digits/digits-test.npz").first(6)
    plan = wv.attack(network, data, wv.WassersteinBall(0.05), device="cpu").point.plan
    atoms = heaviest(plan, data)[:3]
    picture = wv.plot.plan(plan, data, shape=(8, 8), most=3).images[0].get_array()
    assert picture.shape == (8 * len(atoms), 24)
    for k, atom in enumerate(atoms):
        rows = picture[8 * k : 8 * k + 8]
        assert np.array_equal(rows[:, :8], data.x[atom.source].reshape(8, 8))
        assert np.array_equal(rows[:, 8:16], atom.point.reshape(8, 8))
        change = (rows[:, 16:] - 0.5) * 2
        assert np.sign(change).round(9).tolist() == np.sign((atom.point - data.x[atom.source]).reshape(8, 8)).tolist()


def test_a_plan_that_moves_nothing_says_so(planar):
    network, data, _ = planar
    still = wv.certify(network, data, wv.WassersteinBall(0.0), comparison_time=0)
    assert [text.get_text() for text in wv.plot.plan(still.plan, data).texts] == ["nothing moves"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shape": (2, 2)}, r"\(2, 2\) is not the height and width of 2 pixels"),
        ({"names": ["one"]}, "1 names for 2 features"),
        ({"most": 0}, "most 0"),
    ],
)
def test_options_of_a_plan_that_do_not_fit_are_refused(planar, options, words):
    with pytest.raises(wv.InputError, match=words):
        wv.plot.plan(planar[2].plan, planar[1], **options)
    with pytest.raises(wv.InputError, match="does not belong"):
        wv.plot.plan(planar[2].plan, wv.Dataset([[0.5, 0.5]], [0]))
