"""The entry point of ``wdaverify``: commands in, exit status out, one line for every failure."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.main import get_command

import wdaverify
from wdaverify._errors import InputError, WdaverifyError
from wdaverify.cli.attack import attack
from wdaverify.cli.bench import bench
from wdaverify.cli.certify import certify
from wdaverify.cli.check import check
from wdaverify.cli.distance import distance
from wdaverify.cli.inspect import inspect
from wdaverify.cli.lipschitz import lipschitz
from wdaverify.cli.verify import verify
from wdaverify.report import text

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWERED, UNCONFIRMED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

# typer brings its own copy of click or uses the installed one; its usage errors share this base either way.
_CommandLineError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def _version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        text.line(f"wdaverify {wdaverify.__version__}")
        raise typer.Exit


def _callback(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Exact worst-case risk of ReLU networks under every distribution near the data."""


def _application() -> typer.Typer:
    """The command line."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback()(_callback)
    for command in (certify, lipschitz, distance, attack, verify, bench, check, inspect):
        app.command()(command)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Parameters
    ----------
    argv
        The arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0 answered; 1 an answer could not be confirmed; 2 bad input or usage; 130 interrupted.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    status = _run(arguments or ["--help"])
    try:
        text.flush()
    except WdaverifyError as error:
        return _fail(str(error), UNCONFIRMED)
    return status


def _run(arguments: list[str]) -> int:
    """Run a command; every expected failure becomes one line on standard error and a status."""
    try:
        result = get_command(_application()).main(args=arguments, prog_name="wdaverify", standalone_mode=False)
        return result if isinstance(result, int) else ANSWERED
    except InputError as error:
        return _fail(str(error), BAD_INPUT)
    except _CommandLineError as error:
        return _fail(error.format_message(), BAD_INPUT)
    except WdaverifyError as error:
        return _fail(str(error), UNCONFIRMED)
    except SystemExit:
        # The only way in which the command-line library leaves here: the reader of a help text has gone.
        text.abandon_output()
        return ANSWERED
    except OSError as error:
        # A help text that the full disk does not take, a file system that fails: nothing that a traceback explains.
        text.abandon_output()
        return _fail(str(error), UNCONFIRMED)
    except MemoryError:
        return _fail("not enough memory", UNCONFIRMED)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)


def _fail(message: str, status: int) -> int:
    """Print the failure."""
    text.error(message)
    return status


if __name__ == "__main__":
    sys.exit(main())
