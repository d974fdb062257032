"""``python -I -S wdaverify/check CERTIFICATE.json``: the judge as a program, alone in its folder.

The folder becomes a package under a name of its own, so that no other file of the project is imported.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def main() -> int:
    """Judge one certificate; 0 accepted, 1 rejected, 2 unreadable."""
    folder = Path(__file__).resolve().parent
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location("wdacheck", folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["wdacheck"] = package
    spec.loader.exec_module(package)

    parser = argparse.ArgumentParser(prog="check", description="Re-prove a certificate with the standard library only.")
    parser.add_argument("certificate", metavar="CERTIFICATE.json")
    for role in ("model", "data", "property"):
        parser.add_argument(f"--{role}", metavar="FILE", help="instead of the file beside the certificate")
    parser.add_argument("--time-limit", type=float, metavar="SECONDS")
    parser.add_argument("--max-bits", type=int, metavar="N", help="largest integers, in bits")
    options = parser.parse_args()
    try:
        verdict = _judged(package, options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(verdict.message, file=sys.stdout if verdict.accepted else sys.stderr)
    return int(verdict.status)


def _judged(package: ModuleType, options: argparse.Namespace) -> Any:
    """The verdict; each statement is printed as soon as it is proved."""
    return package.check(
        options.certificate,
        model=options.model,
        data=options.data,
        property=options.property,
        time_limit=options.time_limit,
        max_bits=options.max_bits,
        line=print,
    )


if __name__ == "__main__":
    sys.exit(main())
