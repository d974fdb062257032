"""Readers keep their promise on the files that once broke it, and on new mutations (``python -m tests.fuzz`` makes more)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.isolation import run_cases
from tests.fuzz.readers import READERS, Reader
from tests.fuzz.seeds import Case

CORPUS = Path(__file__).parent / "data" / "fuzz"
GOOD = {"answer", "refused"}
FRESH = 20
"""New mutations of each reader: always the same, so that a failure can be repeated."""


def _kept(reader: Reader) -> list[tuple[str, Case]]:
    """Cases of the corpus by name; the file that is read comes first."""
    first = next(iter(reader.seeds()[0]))
    cases = []
    for folder in sorted((CORPUS / reader.name).glob("*")):
        files = sorted(
            folder.iterdir(), key=lambda file: (file.suffix != Path(first).suffix, file.stat().st_size == 0, file.name)
        )
        cases.append((folder.name, {file.name: file.read_bytes() for file in files}))
    return cases


@pytest.mark.parametrize("reader", [r for r in READERS if (CORPUS / r.name).is_dir()], ids=lambda reader: reader.name)
def test_files_that_broke_a_reader_are_refused(reader: Reader) -> None:
    names, cases = zip(*_kept(reader), strict=True)
    assert dict(zip(names, (verdict for _, verdict in run_cases(reader, list(enumerate(cases)))), strict=True)) == dict.fromkeys(
        names, "refused"
    )


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_new_mutations_are_read_or_refused(reader: Reader) -> None:
    seeds = reader.seeds()
    verdicts = dict(run_cases(reader, [(n, reader.case(n, seeds)) for n in range(FRESH)]))
    assert {n: verdict for n, verdict in verdicts.items() if verdict not in GOOD} == {}


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_sound_file_is_read(reader: Reader) -> None:
    """Otherwise refusals would prove nothing."""
    assert "answer" in {verdict for _, verdict in run_cases(reader, list(enumerate(reader.seeds()[-3:])))}


def test_a_reader_that_breaks_its_promise_is_caught() -> None:
    def broken(path: Path) -> None:
        content = path.read_bytes()
        if content == b"raise":
            raise KeyError("key")
        if content == b"write":
            (path.parent / "left").write_text("")
        if content == b"spend":
            _ = b"x" * (3 * 2**29)
        if content == b"crash":
            import ctypes

            ctypes.string_at(0)

    reader = Reader("broken", broken, list, lambda rng, content, others: content)
    cases = [{"f": content} for content in (b"raise", b"write", b"spend", b"crash", b"")]
    found = [verdict for _, verdict in run_cases(reader, list(enumerate(cases)))]
    assert "KeyError" in found[0]
    assert "opens" in found[1]
    assert "creates ['left']" in found[1]
    assert "MB for files" in found[2]
    assert "died: exit status -11" in found[3]
    assert found[4] == "answer"
