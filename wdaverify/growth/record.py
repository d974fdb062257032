"""A Lipschitz constant, as a record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wdaverify.cells.cell import activation_cell
from wdaverify.growth.ground import exact_phases

if TYPE_CHECKING:
    from wdaverify._types import Norm, Vector
    from wdaverify.bracket import Bracket
    from wdaverify.cells.cell import ActivationCell
    from wdaverify.growth.slope import Slope
    from wdaverify.ir.network import Network

_NAME_WIDTH = 20
"""Names of functionals are padded to this width, so that the lines of several constants are aligned."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LipschitzConstant:
    """The smallest L with ``|g(f(x)) - g(f(x'))| <= L ||x - x'||`` on a domain.

    It is the largest dual norm of the gradient over the full-dimensional activation cells of the domain (docs/theory.md,
    "Lipschitz constants").

    Attributes
    ----------
    functional, norm
        The question: the name of g, and the norm of the inputs.
    value
        The bracket of the constant.
    point
        An interior point (n,) of the cell whose gradient attains ``value.lower``; ``None`` when none is known.
    float_replay
        The original model's own float output at `point`, shape (K,); ``None`` without a model file.
    slope
        On R^n, how fast the functional grows at infinity; ``None`` on a box.
    network
        The network.
    """

    functional: str
    norm: Norm
    value: Bracket
    point: Vector | None = None
    float_replay: Vector | None = None
    slope: Slope | None = None
    network: Network = field(repr=False)

    @property
    def lower(self) -> float:
        """The lower end of the bracket."""
        return self.value.lower

    @property
    def upper(self) -> float:
        """The upper end of the bracket."""
        return self.value.upper

    @property
    def cell(self) -> ActivationCell | None:
        """The activation cell about `point`, with the affine function that the network is on it."""
        return None if self.point is None else activation_cell(self.network.compiled, exact_phases(self.network, self.point))

    def record(self) -> dict[str, float | str]:
        """The functional, the norm and the bracket as plain scalars; ``pandas.DataFrame`` takes a list of them.

        Examples
        --------
        >>> import wdaverify as wv
        >>> network = wv.load("tests/data/lipschitz/degen_abs_identity_1-2-1.onnx")
        >>> wv.lipschitz(network, "logit:0", norm="linf", domain=wv.Box(-1, 1)).record()["upper"]
        1.0
        """
        return {"functional": self.functional, "norm": str(self.norm), **self.value.record()}

    def __str__(self) -> str:
        slope = "" if self.slope is None else f", slope {self.slope.value}"
        return f"{self.functional:<{_NAME_WIDTH}}  {self.norm:<4}  {self.value}{slope}"


class Interrupted(Exception):  # noqa: N818 - not an error: a search that was told to stop
    """Ctrl-C during a search for constants; what was found until then is valid.

    Attributes
    ----------
    constants
        One record for every functional and norm, with the brackets as they stood.
    """

    def __init__(self, constants: tuple[LipschitzConstant, ...]) -> None:
        super().__init__("interrupted")
        self.constants = constants
