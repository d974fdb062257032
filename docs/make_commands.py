"""Write docs/commands.md again after a change of the command line."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from typer.main import get_command

from wdaverify.cli.main import _application

PAGE = Path(__file__).parent / "commands.md"

INTRODUCTION = """# Commands

What `wdaverify COMMAND --help` says, on one page. Answers go to standard output, progress and warnings to standard error.

The exit status is 0 when a question was answered (also with a wide bracket, or `unknown`), 1 when an answer could not be
confirmed or `check` rejected a file, 2 for bad input, and 130 after an interrupt with everything finished saved.

This page is written by `python docs/make_commands.py`.
"""


def page() -> str:
    """The page, from the command line itself."""
    commands: dict[str, Any] = get_command(_application()).commands
    return INTRODUCTION + "".join(f"\n{_section(name, command)}" for name, command in commands.items())


def _section(name: str, command: Any) -> str:
    """One command: usage, what it does, and a table of its arguments and options."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join(["wdaverify", name, *(_placeholder(p) for p in arguments), "[OPTIONS]"])
    rows = [f"| `{_placeholder(p)}` | {_cell(p.help)} | required |" for p in arguments]
    rows += [f"| {_names(p)} | {_cell(p.help)} | {_default(p)} |" for p in options]
    table = "\n".join(["| | meaning | default |", "|---|---|---|", *rows])
    return f"## {name}\n\n```text\n{usage}\n```\n\n{inspect.cleandoc(command.help)}\n\n{table}\n"


def _placeholder(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper()).strip("{}")


def _names(option: Any) -> str:
    names = " / ".join([*option.opts, *option.secondary_opts])
    return f"`{names}`" if option.is_flag else f"`{names} {_cell(option.metavar or option.type.name.upper())}`"


def _default(option: Any) -> str:
    if option.required:
        return "required"
    if isinstance(option.show_default, str):
        return _cell(option.show_default)
    if option.default is None or option.is_flag or not option.show_default:
        return ""
    return f"`{option.default}`"


def _cell(words: str | None) -> str:
    """Text for a cell of a table."""
    return " ".join((words or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
