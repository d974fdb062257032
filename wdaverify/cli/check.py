"""``wdaverify check CERTIFICATE.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wdaverify.cli import options as opt
from wdaverify.report import text

Certificate = Annotated[Path, typer.Argument(metavar="CERTIFICATE.json", help="A file with a proof.", show_default=False)]
ModelFile = Annotated[Path | None, typer.Option("--model", metavar="FILE", help="Instead of the model beside the certificate.")]
PropertyFile = Annotated[
    Path | None, typer.Option("--property", metavar="FILE", help="Instead of the property beside the certificate.")
]
MaxBits = Annotated[int | None, typer.Option("--max-bits", metavar="N", help="Largest integers, in bits.")]


def check(
    certificate: Certificate,
    model: ModelFile = None,
    data: opt.OptionalData = None,
    property_file: PropertyFile = None,
    time_limit: opt.TimeLimit = None,
    max_bits: MaxBits = None,
    quiet: opt.Quiet = False,
) -> int:
    """Re-prove every end marked proved, in rational arithmetic, without solver, torch or onnx.

    Prints one line per proved claim, then ACCEPT. Exit status 1: the certificate does not prove what it says.
    """
    from wdaverify.check.report import check as judge

    verdict = judge(
        certificate,
        model=model,
        data=data,
        property=property_file,
        time_limit=time_limit,
        max_bits=max_bits,
        line=None if quiet else text.line,
    )
    if verdict.accepted:
        text.line(verdict.message)
    else:
        text.error(verdict.message)
    return verdict.status
