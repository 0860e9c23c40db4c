"""docs/reference/policy.md, out of the tables that the parser reads by."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.policy.fields import Field, Kind, Named, OneOrMore, Several, Short, Table, Word
from gateway.policy.format import policy_file

INTRO = """<!-- Written from gateway/policy/format*.py. Change those, not this. -->

# Policy files

Every `*.yaml` and `*.yml` of the folder `GATEWAY_POLICIES` is read; subfolders and hidden files are
not. All files are one bundle: upstreams, models, redaction profiles, plans and organizations have
one namespace each, whatever file they stand in, and a name that is there twice is an error. How to
write one is told in the [guide](../guides/policies.md); editors complete and check with
`policies/schema.json` (`gateway check --schema` prints it).

Values mean what they look like: `no` is a text, `1:30` is no number, a duration and a sum of money
need their unit. Unknown keys, keys that are there twice, tags and merge keys (`<<`) are errors;
anchors and aliases may be used. A file is UTF-8 and has at most 1 MiB.
"""


def policy_page(entities: frozenset[str]) -> str:
    """The whole page. `entities` as in `parse`."""
    tables = {table.name: table for table in _tables(policy_file(entities))}
    return INTRO + "".join(_section(table) for table in tables.values())


def _tables(kind: Kind) -> Iterator[Table]:
    """The tables in a kind, itself first."""
    if isinstance(kind, Table):
        yield kind
        for one in kind.fields:
            yield from _tables(one.kind)
    elif isinstance(kind, Several | OneOrMore | Named):
        yield from _tables(kind.kind)
    elif isinstance(kind, Short):
        yield from _tables(kind.table)


def _section(table: Table) -> str:
    rows = "".join(_row(one) for one in table.fields)
    return (
        f"\n## {_title(table)}\n\n{table.help}\n\n"
        f"| key | value | default | meaning |\n|---|---|---|---|\n{rows}"
    )


def _row(one: Field) -> str:
    default = "**required**" if one.required else f"`{one.default}`" if one.default else ""
    cells = (f"`{one.name}`", _value(one.kind), default, one.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _value(kind: Kind) -> str:
    match kind:
        case Table():
            return f"[{_title(kind).lower()}](#{_title(kind).lower().replace(' ', '-')})"
        case Short():
            return f"`{kind.field}`, or a {_value(kind.table)}"
        case Several():
            return f"list of: {_value(kind.kind)}"
        case OneOrMore():
            return f"{_value(kind.kind)}, or a list of them"
        case Named(key=key):
            return f"block of: {kind.what} → {_value(kind.kind)}. The {kind.what} is {key.expected}"
        case Word():
            return kind.expected
    raise TypeError(f"a kind of field that the reference does not know: {kind!r}")


def _title(table: Table) -> str:
    return table.name.replace("_", " ").capitalize()
