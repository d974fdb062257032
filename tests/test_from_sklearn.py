"""Networks read from scikit-learn decide as the estimators do, in their real arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

import wdaverify as wv
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.replay import float_replay

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])
GENERATOR = np.random.default_rng(3)
POINTS = GENERATOR.uniform(X.min(axis=0) - 1, X.max(axis=0) + 1, size=(60, 4))
SOLVER = {"solver": "lbfgs", "max_iter": 400, "random_state": 0, "alpha": 0.01, "tol": 1e-2}


def logits(network, points):
    return np.array([[float(v) for v in exact_forward(network, point.tolist())] for point in points])


def layers_by_fractions(mlp, point):
    """The MLP by the textbook, in fractions of the stored numbers."""
    values = [Fraction(v) for v in point]
    for k, (weights, bias) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True)):
        values = [
            sum((a * Fraction(float(w)) for a, w in zip(values, column, strict=True)), Fraction(float(b)))
            for column, b in zip(weights.T, bias, strict=True)
        ]
        if k < len(mlp.coefs_) - 1 and mlp.activation == "relu":
            values = [max(Fraction(0), v) for v in values]
    return tuple(values)


@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize("hidden", [(6,), (5, 4)])
def test_three_classes(activation, hidden):
    model = MLPClassifier(hidden, activation=activation, **SOLVER).fit(X, NAMES[Y])
    network = wv.from_sklearn(model)
    assert (network.inputs, network.outputs) == (4, 3)
    assert network.relus == (sum(hidden) if activation == "relu" else 0)
    for point in POINTS[:5]:
        assert exact_forward(network, point.tolist()) == layers_by_fractions(model, point)
    found = logits(network, POINTS)
    assert model.classes_[found.argmax(axis=1)].tolist() == model.predict(POINTS).tolist()
    shares = np.exp(found - found.max(axis=1, keepdims=True))
    assert shares / shares.sum(axis=1, keepdims=True) == pytest.approx(model.predict_proba(POINTS), abs=1e-9)
    assert network.notes == ("the outputs are the classes 'setosa', 'versicolor', 'virginica'",)


def test_two_classes_have_logits_zero_and_z():
    chosen = Y > 0
    model = MLPClassifier((5,), **SOLVER).fit(X[chosen], NAMES[Y[chosen]])
    network = wv.from_sklearn(model)
    found = logits(network, POINTS)
    assert set(found[:, 0]) == {0.0}
    assert model.classes_[found.argmax(axis=1)].tolist() == model.predict(POINTS).tolist()
    assert 1 / (1 + np.exp(-found[:, 1])) == pytest.approx(model.predict_proba(POINTS)[:, 1], abs=1e-12)


def test_a_tie_of_two_classes_is_the_first_one_as_in_predict():
    model = MLPClassifier((2,), **SOLVER).fit(X[50:], Y[50:])
    model.coefs_ = [np.zeros_like(weights) for weights in model.coefs_]
    model.intercepts_ = [np.zeros_like(bias) for bias in model.intercepts_]
    assert logits(wv.from_sklearn(model), POINTS[:1]).tolist() == [[0.0, 0.0]]
    assert model.predict(POINTS[:1]).tolist() == [1]  # classes_ are 1 and 2


@pytest.mark.parametrize("targets", [1, 2])
def test_regressors(targets):
    y = X[:, [2, 3]][:, :targets]
    model = MLPRegressor(hidden_layer_sizes=(6,), **SOLVER).fit(X[:, :2], y.ravel() if targets == 1 else y)
    network = wv.from_sklearn(model)
    assert logits(network, POINTS[:, :2]) == pytest.approx(model.predict(POINTS[:, :2]).reshape(-1, targets), rel=1e-9)
    assert network.notes == ()


def test_float32_weights_are_taken_as_they_are():
    model = MLPClassifier((4,), max_iter=300, tol=1.0, random_state=0).fit(X.astype(np.float32), Y)
    assert model.coefs_[0].dtype == np.float32
    assert exact_forward(wv.from_sklearn(model), POINTS[0].tolist()) == layers_by_fractions(model, POINTS[0])


def scaled(scaler, point):
    """What the scaler does to a point, in fractions."""
    values = [Fraction(v) for v in point]
    shift = scaler.mean_ if getattr(scaler, "with_mean", False) else getattr(scaler, "center_", None)
    if hasattr(scaler, "min_"):
        values = [v * Fraction(s) + Fraction(m) for v, s, m in zip(values, scaler.scale_, scaler.min_, strict=True)]
        return [min(max(v, Fraction(0)), Fraction(1)) for v in values] if scaler.clip else values
    if shift is not None:
        values = [v - Fraction(m) for v, m in zip(values, shift, strict=True)]
    return values if scaler.scale_ is None else [v / Fraction(s) for v, s in zip(values, scaler.scale_, strict=True)]


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(), StandardScaler(with_mean=False), StandardScaler(with_std=False),
        MinMaxScaler(), MinMaxScaler(clip=True), MaxAbsScaler(),
        RobustScaler(), RobustScaler(with_centering=False), RobustScaler(with_scaling=False),
    ],
    ids=str,
)  # fmt: skip
def test_scalers_are_exact(scaler):
    model = make_pipeline(scaler, "passthrough", MLPClassifier((4,), **SOLVER)).fit(X, Y)
    network = wv.from_sklearn(model)
    for point in POINTS[:4]:
        assert exact_forward(network, point.tolist()) == layers_by_fractions(model[-1], scaled(model[0], point))
    assert logits(network, POINTS).argmax(axis=1).tolist() == model.predict(POINTS).tolist()
    assert float_replay(network, POINTS[:3]) == pytest.approx(logits(network, POINTS[:3]), rel=1e-9, abs=1e-9)


def test_through_a_file_answers_are_proved(tmp_path):
    model = make_pipeline(MinMaxScaler(), MLPClassifier((4,), **SOLVER)).fit(X, NAMES[Y])
    file, data_file = tmp_path / "iris.onnx", tmp_path / "iris.npz"
    network = wv.from_sklearn(model, onnx_file=file)
    np.savez(data_file, x=X[::30], y=np.searchsorted(model.classes_, NAMES[Y])[::30])
    data = wv.Dataset.load(data_file)
    assert str(wv.load(file)) == str(network)
    certificate = wv.certify(network, data, wv.WassersteinBall(0.1), domain=wv.Box(0, 10), comparison_time=0)
    certificate.save(tmp_path / "iris.json")
    assert wv.check(tmp_path / "iris.json", model=file, data=data_file).accepted
    # the distance found is one at which predict changes
    moved = next(d for d in certificate.distances if d.point is not None and d.distance.upper > 0)
    out = moved.point + 1e-6 * (moved.point - data.x[moved.sample])
    assert model.predict(out[None])[0] != NAMES[moved.label]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (MLPClassifier(), "is not fitted"),
        (MLPClassifier((2,), activation="tanh", **SOLVER).fit(X, Y), "activation 'tanh' is not piecewise linear"),
        (MLPClassifier((2,), **SOLVER).fit(X, np.eye(3)[Y]), "outputs by 'logistic' for 3 targets"),
        (RandomForestClassifier(2).fit(X, Y), "RandomForestClassifier: only MLPClassifier"),
        (make_pipeline(PCA(2), MLPClassifier((2,), **SOLVER)).fit(X, Y), "PCA: only StandardScaler"),
        (make_pipeline(StandardScaler(), MLPClassifier((2,))), "MLPClassifier: is not fitted"),
        ("a string", "str: only MLPClassifier"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_other_estimators_are_refused_in_one_line(model, words):
    with pytest.raises(wv.ModelError, match=words) as caught:
        wv.from_sklearn(model)
    assert "\n" not in str(caught.value)


def test_the_file_must_be_named_and_writable(tmp_path):
    model = MLPClassifier((2,), **SOLVER).fit(X, Y)
    with pytest.raises(wv.InputError, match=r"must end in \.onnx"):
        wv.from_sklearn(model, onnx_file=tmp_path / "model.bin")
    model.out_activation_ = "exp"  # as MLPRegressor(loss="poisson") has it
    with pytest.raises(wv.ModelError, match="outputs by 'exp'"):
        wv.from_sklearn(model)
    model.out_activation_ = "softmax"
    with pytest.raises(wv.InputError, match="cannot be written"):
        wv.from_sklearn(model, onnx_file=tmp_path / "none" / "model.onnx")


@pytest.mark.parametrize(
    ("scaler", "change"),
    [
        (StandardScaler(), {"with_std": False}),
        (StandardScaler(), {"with_mean": False}),
        (RobustScaler(), {"with_centering": False}),
        (RobustScaler(), {"with_scaling": False}),
        (MinMaxScaler(), {"clip": True}),
    ],
)
def test_parameters_that_are_changed_after_the_fit_count_as_in_transform(scaler, change):
    model = make_pipeline(scaler, MLPClassifier((5,), **SOLVER)).fit(X, Y)
    before = model.predict_proba(POINTS)
    model[0].set_params(**change)
    assert np.abs(model.predict_proba(POINTS) - before).max() > 1e-3
    found = logits(wv.from_sklearn(model), POINTS)
    shares = np.exp(found - found.max(axis=1, keepdims=True))
    assert shares / shares.sum(axis=1, keepdims=True) == pytest.approx(model.predict_proba(POINTS), abs=1e-9)
