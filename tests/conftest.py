"""Shared set-up: one thread per process, so that parallel test runs do not fight over cores."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from tests.children import children

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def _no_process_is_left() -> Iterator[None]:
    """Fail a test that ends with more processes or threads than it began with."""
    before = children(), threading.active_count()
    yield
    assert (children(), threading.active_count()) == before
