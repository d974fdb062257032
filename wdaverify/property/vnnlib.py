"""Read VNN-LIB 1.0 files: the part of SMT-LIB that says which inputs and outputs of a network are looked for.

A file declares ``X_0, ..., X_(n-1)`` (the flattened input) and ``Y_0, ..., Y_(K-1)`` (the flattened output) and asserts
comparisons of linear terms under ``and`` and ``or``. All assertions must hold together. Decimals are exact rationals.

The reader makes one pass without recursion: every parenthesis that closes turns its operands into a term or a formula.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from wdaverify._errors import PropertyError
from wdaverify.property.disjuncts import build_disjuncts
from wdaverify.property.formula import COMPARISONS, CONNECTIVES, Formula, compare, conjoin
from wdaverify.property.property import Property, PropertySource
from wdaverify.property.terms import ARITHMETIC, Budget, Term, parse_literal, shown, variable

if TYPE_CHECKING:
    from fractions import Fraction

MAX_BYTES = 64 << 20
"""Size of a file, unpacked: bounds of 150,000 inputs take 10 MiB."""

MAX_DEPTH = 10_000
"""Nesting of parentheses: a sum over all inputs may be nested as often as it has terms."""

MAX_COMPARISONS = 600_000
"""Comparisons of a file, twice what 150,000 inputs need: some hundred MiB of memory and some seconds."""

_TOKEN = re.compile(r"[()]|;[^\r\n]*|[^\s();]+", re.ASCII)
_VARIABLE = re.compile(r"(?P<kind>[XY])_(?P<index>0|[1-9][0-9]{0,8})")
_COMMANDS = ("declare-const", "assert")
_FUNCTIONS = frozenset({*ARITHMETIC, *COMPARISONS, *CONNECTIVES})


def load_property(path: str | Path, *, inputs: int, outputs: int) -> Property:
    """Read a ``.vnnlib`` or ``.vnnlib.gz`` file.

    Parameters
    ----------
    path
        The file.
    inputs, outputs
        Numbers of inputs and outputs of the network that the property speaks about.

    Returns
    -------
    Property
        The disjunctive normal form of the assertions, in exact rationals. Bounds of single inputs form the boxes.

    Raises
    ------
    PropertyError
        If the file cannot be read, is no VNN-LIB 1.0, has terms that are not linear or comparisons between inputs and
        outputs, leaves an input without bounds, declares other variables than the network has, or is too large. The
        message is one line and begins with the file name.

    Examples
    --------
    >>> import tempfile
    >>> text = "(declare-const X_0 Real) (declare-const Y_0 Real) (assert (<= 0 X_0 0.1)) (assert (or (< Y_0 0) (> Y_0 1)))"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "p.vnnlib").write_text(text)
    ...     parsed = load_property(Path(folder) / "p.vnnlib", inputs=1, outputs=1)
    >>> print(parsed)
    p.vnnlib: 2 disjuncts over 1 inputs and 1 outputs
    >>> parsed.disjuncts[0].upper
    (Fraction(1, 10),)
    """
    path = Path(path)
    try:
        content = _read_bytes(path)
        reader = _Reader()
        reader.read(_decoded(content))
        reader.check_variables(inputs, outputs)
        alternatives = conjoin(reader.unions, reader.budget).disjuncts
        disjuncts, warnings = build_disjuncts(reader.base, alternatives, inputs, reader.budget)
    except PropertyError as error:
        raise PropertyError(f"{path.name}: {error}") from None
    source = PropertySource(path.name, hashlib.sha256(content).hexdigest())
    return Property(disjuncts, inputs, outputs, source, tuple(f"{path.name}: {line}" for line in warnings))


def _read_bytes(path: Path) -> bytes:
    """The file's bytes, unpacked if its name ends in .gz, never more than the limit."""
    if not path.exists():
        raise PropertyError(f"the property file '{path}' does not exist")
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise PropertyError(f"cannot be read: {error}") from None
    if len(content) > MAX_BYTES:
        raise PropertyError(f"is larger than the limit of {MAX_BYTES >> 20} MiB")
    return content


def _decoded(content: bytes) -> str:
    """The text, without a byte-order mark."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PropertyError("is not a text file: a VNN-LIB property is UTF-8 text") from None
    if "\0" in text:
        raise PropertyError("is a binary file, not a VNN-LIB property")
    return text


class _Frame:
    """A parenthesis that is still open."""

    __slots__ = ("operands", "operator", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.operator = ""
        self.operands: list[str | Term | Formula] = []


class _Reader:
    """The state of one pass over a file: open parentheses, declared variables, and what was asserted so far."""

    def __init__(self) -> None:
        self.budget = Budget()
        self.base = Formula([[]]).disjuncts[0]
        self.unions: list[Formula] = []
        self._frames: list[_Frame] = []
        self._keys: dict[str, int] = {}
        self._literals: dict[str, Fraction] = {}
        self._comparisons = 0
        self._position = 0

    def read(self, text: str) -> None:
        """Read all commands."""
        try:
            for match in _TOKEN.finditer(text):
                token, self._position = match[0], match.start()
                if token == "(":  # noqa: S105  # a parenthesis is no password
                    self._open()
                elif token == ")":  # noqa: S105
                    self._close()
                elif token[0] != ";":
                    self._symbol(token)
            if self._frames:
                self._position = self._frames[0].start
                raise PropertyError("the parenthesis that opens here is never closed: a closing parenthesis is missing")
        except PropertyError as error:
            line = text.count("\n", 0, self._position) + 1
            raise PropertyError(f"line {line}: {error}") from None
        if not self._keys:
            raise PropertyError("declares no variable: it is empty or no VNN-LIB property")

    def check_variables(self, inputs: int, outputs: int) -> None:
        """Refuse a file whose variables are not those of the network."""
        for kind, noun, expected in (("X", "inputs", inputs), ("Y", "outputs", outputs)):
            names = [name for name in self._keys if name[0] == kind]
            if len(names) != expected:
                raise PropertyError(f"declares {len(names)} {noun} ({kind}_k), the network has {expected} {noun}")
            foreign = next((name for name in names if int(name[2:]) >= expected), None)
            if foreign is not None:
                raise PropertyError(f"declares {foreign}, but the {expected} {noun} must be {kind}_0 to {kind}_{expected - 1}")

    def _open(self) -> None:
        """An opening parenthesis."""
        if self._frames and self._frames[-1].operator == "":
            raise PropertyError("a parenthesis opens where an operator is expected")
        if self._frames and self._frames[-1].operator == "declare-const":
            raise PropertyError("a declaration is (declare-const NAME Real)")
        if len(self._frames) >= MAX_DEPTH:
            raise PropertyError(f"parentheses are nested more than {MAX_DEPTH:,} deep")
        self._frames.append(_Frame(self._position))

    def _symbol(self, token: str) -> None:
        """A name, a number or an operator."""
        if not self._frames:
            raise PropertyError(
                f"{shown(token)} stands outside all parentheses; commands are (declare-const ...) and (assert ...)"
            )
        frame = self._frames[-1]
        if frame.operator == "":
            self._check_operator(token)
            frame.operator = token
        elif frame.operator == "declare-const":
            frame.operands.append(token)
        else:
            frame.operands.append(self._term(token))

    def _check_operator(self, token: str) -> None:
        """Refuse operators that are unknown, or not at their place."""
        if len(self._frames) == 1:
            if token not in _COMMANDS:
                raise PropertyError(f"unknown command {shown(token)}; VNN-LIB 1.0 has declare-const and assert")
        elif token in _COMMANDS:
            raise PropertyError(f"'{token}' stands inside another command: a closing parenthesis is missing before it")
        elif token not in _FUNCTIONS:
            raise PropertyError(f"unknown operator {shown(token)}; supported are {' '.join(sorted(_FUNCTIONS))}")

    def _term(self, token: str) -> Term:
        """A variable or a number."""
        key = self._keys.get(token)
        if key is not None:
            return variable(key)
        value = self._literals.get(token)
        if value is None:
            value = parse_literal(token)
        if value is not None:
            self._literals[token] = value
            return Term({}, value)
        if _VARIABLE.fullmatch(token):
            raise PropertyError(f"variable {token} is not declared; add (declare-const {token} Real) before it is used")
        raise PropertyError(f"unknown symbol {shown(token)}: neither a declared variable nor a number")

    def _close(self) -> None:
        """A closing parenthesis: the form becomes an operand of the one around it, or a command is carried out."""
        if not self._frames:
            raise PropertyError("')' closes nothing: an opening parenthesis is missing")
        frame = self._frames.pop()
        self._position = frame.start
        if frame.operator == "":
            raise PropertyError("empty parentheses '()'")
        if frame.operator == "declare-const":
            self._declare(frame.operands)
        elif frame.operator == "assert":
            self._assert(_formulas(frame))
        else:
            self._frames[-1].operands.append(self._reduced(frame))

    def _reduced(self, frame: _Frame) -> Term | Formula:
        """The value of a form."""
        if frame.operator in CONNECTIVES:
            return CONNECTIVES[frame.operator](_formulas(frame), self.budget)
        terms = _terms(frame)
        if frame.operator in ARITHMETIC:
            return ARITHMETIC[frame.operator](terms, self.budget)
        self._comparisons += max(len(terms) - 1, 1)
        if self._comparisons > MAX_COMPARISONS:
            raise PropertyError(f"too large: more than {MAX_COMPARISONS:,} comparisons")
        return compare(frame.operator, terms, self.budget)

    def _declare(self, operands: list[str | Term | Formula]) -> None:
        """``(declare-const NAME Real)``."""
        name, sort = operands if len(operands) == 2 else ("", "")
        if not isinstance(name, str) or not isinstance(sort, str) or not name:
            raise PropertyError("a declaration is (declare-const NAME Real)")
        if sort != "Real":
            raise PropertyError(f"{shown(name)} is declared as {shown(sort)}; variables are Real")
        match = _VARIABLE.fullmatch(name)
        if match is None:
            raise PropertyError(f"{shown(name)} is declared; variables are called X_0, X_1, ... and Y_0, Y_1, ...")
        if name in self._keys:
            raise PropertyError(f"{name} is declared twice")
        index = int(match["index"])
        self._keys[name] = index if match["kind"] == "X" else -1 - index

    def _assert(self, formulas: list[Formula]) -> None:
        """``(assert FORMULA)``."""
        if len(formulas) != 1:
            raise PropertyError(f"'assert' takes one formula, not {len(formulas)}")
        if len(formulas[0].disjuncts) == 1:
            self.budget.spend(len(formulas[0].disjuncts[0]))
            self.base += formulas[0].disjuncts[0]
        else:
            self.unions.append(formulas[0])


def _terms(frame: _Frame) -> list[Term]:
    """The operands, which must be terms."""
    terms = [operand for operand in frame.operands if isinstance(operand, Term)]
    if len(terms) != len(frame.operands) or not terms:
        raise PropertyError(f"'{frame.operator}' needs numbers, variables or linear terms as operands")
    return terms


def _formulas(frame: _Frame) -> list[Formula]:
    """The operands, which must be formulas."""
    formulas = [operand for operand in frame.operands if isinstance(operand, Formula)]
    if len(formulas) != len(frame.operands) or not formulas:
        raise PropertyError(f"'{frame.operator}' needs comparisons, or and/or of them, as operands")
    return formulas
