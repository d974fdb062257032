"""What the commands print: plain lines and tables, the same on every machine when piped."""

from __future__ import annotations

import contextlib
import io
import math
import os
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from wdaverify._errors import WdaverifyError
from wdaverify.report.numbers import shown, shown_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import TextIO

    from wdaverify.attack.result import AttackResult
    from wdaverify.risk.adversarial import AdversarialDistance
    from wdaverify.risk.certificate import RiskCertificate

_PIPED_WIDTH = 100_000
"""Columns where the output is no terminal: a row is a line, whatever the width of somebody's window."""


def line(text: str) -> None:
    """Print one line to standard output; a reader that has gone is no error, characters it cannot hold are escaped.

    Raises
    ------
    WdaverifyError
        If the output cannot be written for another reason (a full disk).
    """
    say(text, sys.stdout)


def say(text: str, stream: TextIO | None) -> None:
    """Print to a stream, which is ``None`` where whoever started the command has closed it."""
    if stream is None:
        return
    encoding = stream.encoding or "utf-8"
    with _readers_may_leave(stream):
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def flush() -> None:
    """Flush standard output; a reader that has gone (``| head``) is no error.

    Raises
    ------
    WdaverifyError
        As `line`.
    """
    if sys.stdout is not None:
        with _readers_may_leave(sys.stdout):
            sys.stdout.flush()


def abandon_output() -> None:
    """Take note that nobody reads standard output any more."""
    if sys.__stdout__ is not None:
        _abandon(sys.__stdout__)


@contextlib.contextmanager
def _readers_may_leave(stream: TextIO) -> Iterator[None]:
    """Go on without a reader; report any other failure to write."""
    try:
        yield
    except BrokenPipeError:
        _abandon(stream)
    except OSError as failure:
        _abandon(stream)
        raise WdaverifyError(f"the output cannot be written: {failure.strerror or failure}") from None


def _abandon(stream: TextIO) -> None:
    """Send what is still to come nowhere, so that the interpreter does not complain when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to standard output; columns of numbers are aligned to the right."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    grid = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, header_style="bold" if terminal else "")
    for k, header in enumerate(headers):
        numeric = all(_is_number(row[k]) for row in rows)
        grid.add_column(header, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    width = Console().width if terminal else _PIPED_WIDTH
    rendered = io.StringIO()
    Console(file=rendered, markup=False, highlight=False, emoji=False, width=width, force_terminal=terminal).print(grid)
    # Piped tables must not carry the padding of their last column.
    line("\n".join(row.rstrip() for row in rendered.getvalue().splitlines()))


def _is_number(cell: str) -> bool:
    """Whether a cell reads as a number; a missing value does not count against its column."""
    try:
        float(cell)
    except ValueError:
        return cell in {"", "-"}
    return True


def warning(text: str) -> None:
    """Print one line of warning to standard error."""
    say(f"wdaverify: warning: {one_line(text)}", sys.stderr)


def no_proof(reason: str | None, file: Path, *, quiet: bool) -> None:
    """Say on standard error why a file holds no proof, if there is a reason to give."""
    if reason is not None and not quiet:
        say(f"wdaverify: note: {file} holds no proof: {one_line(reason)}", sys.stderr)


def error(text: str) -> None:
    """Print one line of error to standard error."""
    say(f"wdaverify: error: {one_line(text)}", sys.stderr)


@contextlib.contextmanager
def shown_warnings(*, quiet: bool) -> Iterator[None]:
    """Print warnings of the block as one line each; nothing if `quiet`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        try:
            yield
        finally:
            if not quiet:
                for entry in caught:
                    warning(str(entry.message))


def one_line(text: str) -> str:
    """The text with every run of white space, line breaks included, as one space, and nothing that steers a terminal."""
    words = " ".join(text.split())
    return words if words.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)


def distance_summary(distances: Sequence[AdversarialDistance]) -> str:
    """One line about all distances."""
    exact = sum(d.distance.exact for d in distances)
    wrong = sum(d.distance.upper == 0 for d in distances)
    never = sum(math.isinf(d.distance.lower) for d in distances)
    positive = [d.distance.upper for d in distances if 0 < d.distance.upper < math.inf]
    nearest = f", smallest positive {min(positive):.9g}" if positive else ""
    return f"distances: {exact} of {len(distances)} exact, {wrong} zero, {never} inf{nearest}"


def certificate_lines(certificate: RiskCertificate) -> list[str]:
    """What `certify` prints about a certificate."""
    lines = [
        f"model: {certificate.network}",
        f"{certificate.data}",
        f"domain: {certificate.domain}",
        f"nominal {certificate.loss} risk: {certificate.nominal_risk:.9g}",
        str(certificate),
    ]
    if certificate.distances:
        lines.append(distance_summary(certificate.distances))
    for point in certificate.curve:
        price = "" if point.multiplier is None else f", multiplier {point.multiplier:.6g}"
        lines.append(f"worst-case distribution at radius {point.radius:g}: {point.plan}{price}")
    if certificate.interrupted:
        lines.append("interrupted: the brackets hold, but are wider than they could be")
    return lines


def comparison_table(certificate: RiskCertificate) -> tuple[list[str], list[list[str]]]:
    """Headers and rows: what every other certificate says at every radius, and how far that is above this one's upper end.

    The constant shown is the largest. Ends are rounded upwards, so that what is printed is a bound too.
    """
    headers = ["certificate", "constant"]
    for point in certificate.curve:
        headers += [f"risk at {point.radius:g}", "above"]
    rows = [["this one", "-"]]
    for point in certificate.curve:
        rows[0] += [shown_up(point.risk.upper, 6), "-"]
    for bound in certificate.bounds:
        row = [bound.name, shown_up(max(bound.constants.values()), 6) if bound.constants else "-"]
        for point, risk in zip(certificate.curve, bound.worst_case_risk, strict=True):
            above = "-" if math.isinf(point.risk.upper) else shown(risk - point.risk.upper, 3)
            row += [shown_up(risk, 6), above] if bound.constants else ["-", "-"]
        rows.append(row)
    return headers, rows


def attack_lines(found: AttackResult, model: str) -> list[str]:
    """What `attack` prints."""
    known = int(np.isfinite(found.distances).sum())
    wrong = int((found.distances == 0.0).sum())
    lines = [f"model: {model}", f"{found.data}", f"domain: {found.domain}", str(found)]
    lines.append(f"adversarial points: {known} of {len(found.distances)} samples, {wrong} of them errors as they are")
    lines.extend(f"distribution found at radius {point.radius:g}: {point.plan}" for point in found.curve)
    lines.append(f"{found.forward} evaluations and {found.backward} gradients in {found.seconds:.1f} s")
    if found.attacked < len(found.distances):
        lines.append(f"stopped after {found.attacked} of {len(found.distances)} samples: the others count as not found")
    return lines
