"""The JSON Schema of the files that ``--output`` writes, made from the records themselves.

``docs/schema/wdaverify-1.schema.json`` is what `text` gives; ``python docs/make_schema.py`` writes it again.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from wdaverify.report import records

ADDRESS = "https://json-schema.org/draft/2020-12/schema"

DOCUMENTS = (
    records.RiskDocument,
    records.DistanceDocument,
    records.LipschitzDocument,
    records.AttackDocument,
    records.PropertyDocument,
    records.InspectDocument,
    records.BenchDocument,
)
"""Every kind of file. To add a kind: its record, and its name here."""

PROVED = ("RiskDocument", "DistanceDocument", "LipschitzDocument", "PropertyDocument")
"""Kinds of files that may hold a proof."""

_CONSTANT = ("schema", "kind", "semantics")
"""Fields whose one value is their default."""

_PROOF = {
    "title": "Proof",
    "description": "What `wdaverify check` follows: stages of the program, claims, and what proves them, inline or in files.",
    "type": "object",
    "properties": {
        "format": {"const": "wdaverify-proof/1"},
        "program": {"type": "array", "items": {"type": "string", "pattern": "^[AR][0-9]+$"}},
        "claims": {"type": "array", "items": {"type": "object", "required": ["id"]}},
        "streams": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["claim"],
                "oneOf": [{"required": ["records"]}, {"required": ["file", "sha256"]}],
            },
        },
    },
    "required": ["format", "program", "claims", "streams"],
    "additionalProperties": False,
}


def json_schema() -> dict[str, Any]:
    """The schema (JSON Schema, draft 2020-12): one of the documents, told apart by their ``kind``.

    It is strict: a field that is not listed is an error, and every field that is always written is required.

    Examples
    --------
    >>> json_schema()["$defs"]["BracketRecord"]["required"]
    ['lower', 'upper', 'status', 'evidence']
    """
    references, components = msgspec.json.schema_components(DOCUMENTS, ref_template="#/$defs/{name}")
    for name, component in components.items():
        _tighten(component, getattr(records, name))
    for name in PROVED:
        components[name]["properties"]["proof"] = {"$ref": "#/$defs/Proof"}
    return {
        "$schema": ADDRESS,
        "title": records.SCHEMA,
        "description": "A file that wdaverify writes with --output.",
        "oneOf": list(references),
        "$defs": {**components, "Proof": _PROOF},
    }


def text() -> str:
    """The schema as the published file has it."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def _tighten(component: dict[str, Any], record: type[msgspec.Struct]) -> None:
    """Close a record's schema to other fields, require what is always written, and fix what never varies."""
    component["additionalProperties"] = False
    fields = msgspec.structs.fields(record)
    always = [
        f.encode_name
        for f in fields
        if f.default is not msgspec.UNSET and (f.required or not record.__struct_config__.omit_defaults)
    ]
    component["required"] = always
    for field in fields:
        if field.encode_name in _CONSTANT and not field.required:
            component["properties"][field.encode_name] = {"const": field.default}
        else:
            component["properties"][field.encode_name].pop("default", None)
