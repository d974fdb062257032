"""The worst-case risk over the radius, with what other methods say about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify.plot.canvas import axes_or_new, colour, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from wdaverify.attack.result import AttackResult
    from wdaverify.risk.certificate import RiskCertificate
    from wdaverify.transport import WassersteinBall

_LOSS_OF_ATTACKS = "zero-one"


def risk_curve(
    certificate: RiskCertificate, *, attack: AttackResult | None = None, bounds: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw the bracket of the worst-case risk at every radius of a certificate.

    The ends are certified at the marked radii. The lines between the marks only guide the eye.

    Parameters
    ----------
    certificate
        Of a risk, from `wdaverify.certify`; several `radii` make a curve.
    attack
        What an attack found for the same data and threat: lower ends of the zero-one risk.
    bounds
        Whether to draw the upper bounds by other certificates, where they are finite.
    ax
        Axes to draw into; those of a new figure by default.

    Returns
    -------
    Axes
        Its lines carry the numbers: ``upper end``, ``lower end``, the attack by its method, and the other certificates by name.

    Raises
    ------
    InputError
        If the attack is about another threat, other data or another loss than the certificate.

    Examples
    --------
    >>> import wdaverify as wv
    >>> network = wv.load("instances/planar/moons-16-16.onnx")
    >>> data = wv.Dataset.load("instances/planar/moons-test.npz").first(5)
    >>> certificate = wv.certify(network, data, wv.WassersteinBall(0.1), radii=[0, 0.05, 0.1], comparison_time=0)
    >>> ax = wv.plot.risk_curve(certificate)
    >>> ax.get_lines()[0].get_label(), len(ax.get_lines()[0].get_xdata())
    ('upper end', 3)
    """
    if attack is not None:
        _check_same_question(certificate, attack)
    ax = axes_or_new(ax)
    points = sorted(certificate.curve, key=lambda point: point.radius)
    radii = [point.radius for point in points]
    lower, upper = ([getattr(point.risk, end) for point in points] for end in ("lower", "upper"))
    ax.fill_between(radii, lower, _finite(upper), color=colour(0), alpha=0.25, linewidth=0)
    ax.plot(radii, _finite(upper), color=colour(0), marker="v", label="upper end", linewidth=2.0)
    ax.plot(radii, lower, color=colour(0), marker="^", label="lower end", linestyle="--")
    if attack is not None:
        found = sorted((point.radius, 1.0 - point.worst_case_accuracy) for point in attack.curve)
        ax.plot(*zip(*found, strict=True), color=colour(1), marker="x", linestyle=":", label=f"found by {attack.options.method}")
    if bounds:
        order = [certificate.curve.index(point) for point in points]
        for k, bound in enumerate(certificate.bounds):
            values = _finite([bound.worst_case_risk[i] for i in order] if bound.worst_case_risk else [])
            if not np.isnan(values).all():
                ax.plot(radii, values, color=colour(k + 2), marker=marker(k + 1), linewidth=0.8, markersize=4, label=bound.name)
    ball = certificate.ball
    ax.axhline(certificate.nominal_risk, color="gray", linewidth=0.8, label="nominal risk")
    ax.set(xlabel=f"radius (order {ball.order:g}, {ball.norm})", ylabel=f"worst-case {certificate.loss} risk")
    ax.legend(fontsize="small")
    return ax


def _finite(values: list[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The values with NaN, which is not drawn, in the place of infinities."""
    array = np.array(values, dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def _check_same_question(certificate: RiskCertificate, attack: AttackResult) -> None:
    """Both are about one risk: then what the attack found is a lower end of what the certificate brackets."""
    ball, other = certificate.ball, attack.ball
    if certificate.loss != _LOSS_OF_ATTACKS:
        raise InputError(f"an attack finds zero-one risks, the certificate is about the {certificate.loss} loss")
    if (ball.norm, ball.order) != (other.norm, other.order):
        raise InputError(f"the attack is about {_threat(other)}, the certificate about {_threat(ball)}")
    mine, its = certificate.data, attack.data
    if not all(np.array_equal(getattr(mine, name), getattr(its, name)) for name in ("x", "y", "weights")):
        raise InputError("the attack is about other samples than the certificate; attack the same data")


def _threat(ball: WassersteinBall) -> str:
    return f"order {ball.order:g} and {ball.norm}"
