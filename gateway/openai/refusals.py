"""How the API words a refusal of a field. Pure.

Source: the messages of the OpenAI API's own answers (`invalid_request_error`, status 400).
"""

from __future__ import annotations

from typing import Final, NoReturn

from gateway.errors import BadRequest


def shown(number: int) -> str:
    """A caller's number for a message, however long it is."""
    text = str(number)
    return text if len(text) <= 20 else f"a number of {len(text.lstrip('-'))} digits"


_KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def kind_of(value: object) -> str:
    """What a JSON value is called."""
    return _KINDS[type(value)]


def refuse(message: str, param: str) -> NoReturn:
    """Raises BadRequest about the field `param`."""
    raise BadRequest(message, param=param)


def refuse_type(param: str, expected: str, value: object) -> NoReturn:
    refuse(
        f"Invalid type for '{param}': expected {expected}, but got {kind_of(value)} instead.", param
    )


def refuse_empty(param: str, kind: str) -> NoReturn:
    article = "an" if kind == "array" else "a"
    refuse(
        f"Invalid '{param}': empty {kind}. Expected {article} {kind} with minimum length 1, "
        f"but got an empty {kind} instead.",
        param,
    )


def refuse_range(param: str, what: str) -> NoReturn:
    refuse(f"Invalid '{param}': integer {what} instead.", param)
