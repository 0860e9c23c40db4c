"""What in helm/completion-gateway follows from other files: part of its schema, and its table.

`make docs` writes them (scripts/reference.py calls `pages`), tests/test_docs.py compares:

* `values.schema.json` gets the settings of gateway/settings.py and the comments of values.yaml;
* `README.md` gets the table of values.yaml, between its two marks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Any

import yaml

from gateway.settings import PREFIX, settings_fields

CHART = Path(__file__).resolve().parent.parent / "helm" / "completion-gateway"
BEGIN = "<!-- Written by `make docs` from values.yaml. Change that, not this. -->\n"
END = "<!-- The end of what `make docs` writes. -->\n"
SHOWN_MAX = 60
"""Characters of a default in the table; a longer one is to be looked up."""

DECIDED_BY_OTHER_VALUES = frozenset(
    {
        *("host", "port", "ops_host", "ops_port", "reuse_port", "workers", "bootstrap"),
        *("database_url", "redis_url", "policies", "pepper", "pepper_file"),
        *("drain_seconds", "shutdown_grace_seconds"),
    }
)


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the chart: its path, such as `image.tag`, what it is for, and its default."""

    path: tuple[str, ...]
    meaning: str
    default: Any


def values() -> list[Value]:
    """The values of values.yaml that have a comment, in their order."""
    text = (CHART / "values.yaml").read_text("utf-8")
    defaults = yaml.safe_load(text)
    return [Value(path, meaning, _at(defaults, path)) for path, meaning in _commented(text)]


def _commented(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Path and comment of each key below a `# --`, by its indentation."""
    path: list[str] = []
    meaning: list[str] = []
    for line in text.splitlines():
        if begun := re.match(r" *# -- (.*)", line):
            meaning = [begun[1]]
        elif meaning and (more := re.match(r" *# (.*)", line)):
            meaning.append(more[1])
        elif key := re.match(r"( *)(\w+):", line):
            path = [*path[: len(key[1]) // 2], key[2]]
            if meaning:
                yield tuple(path), " ".join(meaning)
            meaning = []


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def readme() -> str:
    """The chart's README with the table of today."""
    text = (CHART / "README.md").read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = [
        f"| `{'.'.join(v.path)}` | {_shown(v.default)} | {_cell(v.meaning)} |" for v in values()
    ]
    table = ["| value | default | meaning |", "|---|---|---|", *rows]
    return before + BEGIN + "\n" + "\n".join(table) + "\n\n" + END + after


def _shown(default: Any) -> str:
    text = json.dumps(default)
    return f"`{text}`" if len(text) <= SHOWN_MAX else "see values.yaml"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def schema() -> str:
    """The schema with the settings and descriptions of today."""
    found: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    for value in values():
        _place_of(found, value.path)["description"] = value.meaning
    found["properties"]["settings"]["properties"] = {
        PREFIX + option.name.upper(): _kind_of(option)
        for option in settings_fields()
        if option.name not in DECIDED_BY_OTHER_VALUES
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _place_of(schema: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Where the schema describes a value; a reference is kept beside its description."""
    *above, last = path
    for key in above:
        schema = schema["properties"][key]
    found: dict[str, Any] = schema["properties"][last]
    if "$ref" in found:
        found = schema["properties"][last] = {"allOf": [found]}
    return found


def _kind_of(option: Field[Any]) -> dict[str, Any]:
    """A setting's schema, by what its parser says of a value that it cannot use. Numbers may be
    quoted, and a switch may be the `on` that YAML takes for true."""
    help_text = {"description": option.metadata["help"]}
    try:
        option.metadata["parse"]("")
    except ValueError as refusal:
        expected = str(refusal)
    if allowed := re.fullmatch(r"one of (.*)", expected):
        words: list[Any] = allowed[1].split(", ")
        return help_text | {"enum": words + [True, False] * ("on" in words) + [None]}
    number = {"int": "integer", "float": "number"}.get(str(option.type))
    if number is None:
        return help_text | {"type": ["string", "null"], "minLength": 1}
    low, high = re.findall(r"[\d.]+", expected)[-2:]
    bounds = {"minimum": 0 if "0, or" in expected else json.loads(low), "maximum": json.loads(high)}
    shape = r"^[0-9]+$" if number == "integer" else r"^[0-9]+(\.[0-9]+)?$"
    return help_text | {"type": [number, "string", "null"], **bounds, "pattern": shape}


def pages() -> dict[Path, str]:
    """Every file of the chart that is written, and its text."""
    return {CHART / "README.md": readme(), CHART / "values.schema.json": schema()}
