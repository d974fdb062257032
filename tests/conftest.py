"""Shared set-up: one thread per process, so that parallel test runs do not fight over cores."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
