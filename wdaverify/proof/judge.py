"""Ask the judge about a finished certificate: as a whole, as any user would."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from wdaverify.check import check

if TYPE_CHECKING:
    from wdaverify.ir.network import Network


class Verdict(Protocol):
    """What the judge says."""

    @property
    def accepted(self) -> bool:
        """Whether every claim and every mark is proved."""
        ...

    @property
    def message(self) -> str:
        """Its last line."""
        ...


def ask(
    certificate: Path,
    network: Network,
    *,
    data: str | None = None,
    property_file: str | None = None,
    time_limit: float | None = None,
) -> Verdict:
    """The judge's verdict on a certificate about a network that was read from a file.

    Parameters
    ----------
    data, property_file
        The files that the certificate names.
    time_limit
        Seconds after which the judge refuses.
    """
    assert network.source is not None
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        model.write_bytes(network.source.content)
        return cast("Verdict", check(certificate, model=model, data=data, property=property_file, time_limit=time_limit))
