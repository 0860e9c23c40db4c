"""How a policy's values are written: the kinds of fields, what each accepts, and its JSON Schema.

Kind
├── Word      one scalar: a name, a number, a duration, …
├── Several   a list of one kind
├── OneOrMore one of a kind, or a list of it
├── Named     a block whose keys are names that the admin gives
├── Short     a table, or the scalar of its one field that matters most
└── Table     a block whose keys are known: the fields

`read` gives the value, or None after it has reported what is wrong and what would be right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.policy.document import Block, Listing, Node, Scalar, describe
from gateway.policy.problems import Findings, Place, quoted, suggestion

Definitions = dict[str, dict[str, Any]]
"""JSON Schema's `$defs`, filled while a schema is written."""


class Kind(Protocol):
    def read(self, label: str, node: Node, findings: Findings) -> Any: ...

    def schema(self, definitions: Definitions) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Placed:
    """A value of a list or a block of names, and where it stands."""

    value: Any
    place: Place


@dataclass(frozen=True, slots=True)
class Row:
    """A table as it was read. `values` holds what is usable, defaults included; `places` holds
    whatever was written, usable or not."""

    place: Place
    values: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    def wrote(self, name: str) -> bool:
        return name in self.places

    def at(self, name: str) -> Place:
        """Where the field stands; where the row begins if it was left out."""
        return self.places.get(name, self.place)


@dataclass(frozen=True, slots=True)
class Word:
    """`take` returns the value or raises ValueError, whose text, if any, says what would be right;
    otherwise `expected` does. `secret`: a wrong value is not repeated in the message."""

    expected: str
    take: Callable[[Scalar], Any]
    json: Mapping[str, Any]
    secret: bool = False

    def read(self, label: str, node: Node, findings: Findings) -> Any:
        right = f"write {self.expected}"
        if isinstance(node, Scalar) and not node.empty:
            try:
                return self.take(node)
            except ValueError as error:
                right = str(error) or right
        hidden = self.secret and isinstance(node, Scalar) and not node.empty
        wrong = "is not usable as it is" if hidden else f"cannot be {describe(node)}"
        findings.error(node.place, f"{label} {wrong}; {right}")
        return None

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        return dict(self.json)


@dataclass(frozen=True, slots=True)
class Several:
    """A tuple of Placed, without the items that are unusable. `what` names one item."""

    kind: Kind
    what: str
    may_be_empty: bool = False

    def read(self, label: str, node: Node, findings: Findings) -> tuple[Placed, ...] | None:
        if not isinstance(node, Listing):
            findings.error(
                node.place, f"{label} cannot be {describe(node)}; write a list of {self.what}s"
            )
            return None
        if not node.items and not self.may_be_empty:
            findings.error(node.place, f"{label} is an empty list; write at least one {self.what}")
        read = (
            Placed(self.kind.read(f"the {self.what}", item, findings), item.place)
            for item in node.items
        )
        return tuple(item for item in read if item.value is not None)

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        schema = {"type": "array", "items": self.kind.schema(definitions)}
        return schema if self.may_be_empty else {**schema, "minItems": 1}


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """A tuple of Placed, as of Several, also where just one was written."""

    kind: Kind
    what: str

    def read(self, label: str, node: Node, findings: Findings) -> tuple[Placed, ...] | None:
        if isinstance(node, Listing):
            return Several(self.kind, self.what).read(label, node, findings)
        value = self.kind.read(label, node, findings)
        return None if value is None else (Placed(value, node.place),)

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        one = self.kind.schema(definitions)
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


@dataclass(frozen=True, slots=True)
class Named:
    """A dict of name → Placed, at the name's place. A value that is unusable keeps its name, with
    None, so that whoever refers to it is not told that it does not exist."""

    key: Word
    kind: Kind
    what: str
    may_be_empty: bool = False

    def read(self, label: str, node: Node, findings: Findings) -> dict[str, Placed] | None:
        if not isinstance(node, Block):
            findings.error(
                node.place,
                f"{label} cannot be {describe(node)}; write one key for each {self.what}",
            )
            return None
        if not node.entries and not self.may_be_empty:
            findings.error(node.place, f"{label} is empty; write at least one {self.what}")
        read: dict[str, Placed] = {}
        for key, value in node.entries:
            self.key.read(f"the name of the {self.what}", key, findings)
            item = self.kind.read(f"{self.what} {quoted(key.text)}", value, findings)
            read[key.text] = Placed(item, key.place)
        return read

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        schema = {
            "type": "object",
            "propertyNames": {k: v for k, v in self.key.json.items() if k != "type"},
            "additionalProperties": self.kind.schema(definitions),
        }
        return schema if self.may_be_empty else {**schema, "minProperties": 1}


@dataclass(frozen=True, slots=True)
class Short:
    """A Row; one scalar stands for a table of which only `field` is written."""

    field: str
    table: Table

    def read(self, label: str, node: Node, findings: Findings) -> Row | None:
        if isinstance(node, Scalar):
            if self._alone.read(label, node, findings) is None:
                return None
            node = Block(((Scalar(self.field, True, node.place), node),), node.place)
        return self.table.read(label, node, findings)

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        return {"anyOf": [self._alone.schema(definitions), self.table.schema(definitions)]}

    @property
    def _alone(self) -> Kind:
        return next(one.kind for one in self.table.fields if one.name == self.field)


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a table. `default` is written as in a policy; "" means that there is none."""

    name: str
    kind: Kind
    help: str
    required: bool = False
    default: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A Row. `name` is that of its JSON Schema definition, `help` says what it is."""

    name: str
    help: str
    fields: tuple[Field, ...]

    def read(self, label: str, node: Node, findings: Findings) -> Row | None:
        if not isinstance(node, Block):
            findings.error(
                node.place,
                f"{label} cannot be {describe(node)}; write a block with keys such as "
                + ", ".join(f"`{one.name}`" for one in self.fields[:3]),
            )
            return None
        known = {one.name: one for one in self.fields}
        values: dict[str, Any] = {}
        places: dict[str, Place] = {}
        for key, value in node.entries:
            if key.text not in known:
                findings.error(
                    key.place,
                    f"unknown key {quoted(key.text)} in {label}; {suggestion(key.text, known)}",
                )
                continue
            places[key.text] = key.place
            item = known[key.text].kind.read(f"`{key.text}`", value, findings)
            if item is not None:
                values[key.text] = item
        for one in self.fields:
            if one.name not in places:
                self._left_out(one, label, node.place, values, findings)
        return Row(node.place, values, places)

    def _left_out(
        self, one: Field, label: str, place: Place, values: dict[str, Any], findings: Findings
    ) -> None:
        if one.required:
            help = one.help[0].lower() + one.help[1:].removesuffix(".")
            findings.error(place, f"{label} lacks `{one.name}`; add it: {help}")
        elif one.default:
            written = Scalar(one.default, True, place)
            values[one.name] = one.kind.read(f"`{one.name}`", written, findings)

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        if self.name not in definitions:
            definitions[self.name] = {}  # its place in the order of reading
            definitions[self.name] = {
                "description": self.help,
                "type": "object",
                "properties": {f.name: _property(f, definitions) for f in self.fields},
                "required": [f.name for f in self.fields if f.required],
                "additionalProperties": False,
            }
        return {"$ref": f"#/$defs/{self.name}"}


def _property(one: Field, definitions: Definitions) -> dict[str, Any]:
    schema = one.kind.schema(definitions)
    described = {**schema, "description": one.help}
    if one.default:
        types = schema.get("type", "string")
        described["default"] = _JSON[types if isinstance(types, str) else types[0]](one.default)
    return described


_JSON: dict[str, Callable[[str], Any]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": lambda text: text == "true",
}
