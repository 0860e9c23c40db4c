"""The JSON Schema of a policy file, for editors, out of the tables that the parser reads by."""

from __future__ import annotations

import json
from typing import Any

from gateway.policy.fields import Definitions
from gateway.policy.format import policy_file

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(entities: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What one file may say. It cannot say what joins fields or files (names that lead nowhere,
    prices under money limits): `gateway check` does. `entities` as in `parse`."""
    definitions: Definitions = {}
    root = policy_file(entities)
    root.schema(definitions)
    whole = definitions.pop(root.name)
    return {"$schema": DIALECT, "title": root.help, **whole, "$defs": definitions}


def schema_text(entities: frozenset[str]) -> str:
    """The file `policies/schema.json`, byte for byte."""
    return json.dumps(json_schema(entities), indent=2, ensure_ascii=False) + "\n"
