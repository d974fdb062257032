"""Write docs/schema/wdaverify-1.schema.json again after a change of the records."""

from __future__ import annotations

from pathlib import Path

from wdaverify.report import schema

if __name__ == "__main__":
    (Path(__file__).parent / "schema" / "wdaverify-1.schema.json").write_text(schema.text(), encoding="utf-8")
