"""Decide one property with wdaverify in a process of its own.

python benchmarks/side_wdaverify.py MODEL PROPERTY LIMIT ANSWER: the answer is a JSON file with the verdict, CPU seconds of
`wv.verify` on the property as loaded (`solve`), and of everything before (`setup`).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main(model: str, question: str, limit: str, answer: str) -> None:
    """Load, decide, write."""
    import wdaverify as wv
    from benchmarks.warm import warm_up_verify
    from wdaverify.property.vnnlib import load_property

    warm_up_verify()
    network = wv.load(model)
    loaded = load_property(question, inputs=network.inputs, outputs=network.outputs)
    setup = time.process_time()
    verdict = str(wv.verify(network, loaded, time_limit=float(limit)).verdict)
    found = {"verdict": verdict, "solve": time.process_time() - setup, "setup": setup, "version": wv.__version__}
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main(*sys.argv[1:])
