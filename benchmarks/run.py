"""Run benchmarks and rewrite their sections of RESULTS.md: both sides of every comparison in the same run, in CPU seconds.

python benchmarks/run.py [NAME ...] [--data FOLDER] [--samples N] [--limit S] [--out FILE]

Without names everything runs that can run here; ``--help`` lists the names and the other options.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

if __name__ == "__main__":
    os.environ.update(dict.fromkeys(THREADS, "1"))  # before numpy and torch are imported; child processes inherit it
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from benchmarks.command import main

    sys.exit(main())
