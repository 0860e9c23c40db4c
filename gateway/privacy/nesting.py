"""How often a text that is JSON, and arrives in pieces, is JSON-escaped at a place of it. Pure.

A string that itself begins as an object or a list does, is JSON inside of JSON: a tool's arguments,
say, with the body of a request as a string. What stands in its strings is escaped once more.
"""

from __future__ import annotations

import re

_QUOTE = re.compile(r'(?<!\\)(\\*+)"')
"""Only tried where a run of backslashes begins, so that a long one is read once."""
_HEAD = re.compile(r"(?:\s|\\+[nrt])*+[{\[](?:[\s{\[0-9.,-]|\\+[nrt])*+")
_HEAD_MAX = 128
_DEPTH_MAX = 4


class Nesting:
    """The strings of JSON that are open: of each, how many brackets are, 0 in a plain one.

    `_head` is what came in the innermost, while it can be the begin of a document; `_slashes`: how
    many backslashes came last."""

    __slots__ = ("_head", "_open", "_slashes")

    def __init__(self) -> None:
        self._open: list[int] = []
        self._head = ""
        self._slashes = 0

    @property
    def depth(self) -> int:
        """1 in a string of the document itself, 2 in a string of a document in such a string."""
        return max(1, len(self._open))

    def feed(self, text: str) -> None:
        """Go on behind `text`."""
        plain = text.rstrip("\\")
        if not plain:
            self._slashes += len(text)
            return
        plain, self._slashes = "\\" * self._slashes + plain, len(text) - len(plain)
        done = 0
        for quote in _QUOTE.finditer(plain):
            self._within(plain[done : quote.start()])
            self._quote(_level(len(quote[1])))
            done = quote.end()
        self._within(plain[done:])

    def _within(self, text: str) -> None:
        """What stands in the innermost string: after the end of a document there may be another."""
        if not self._open or not self._open[-1]:
            self._head += text[: _HEAD_MAX - len(self._head)]
        else:
            self._open[-1] = max(0, self._open[-1] + _brackets(text))
            behind = text[max(map(text.rfind, "}]")) + 1 :]
            self._head = "" if self._open[-1] else behind[:_HEAD_MAX]

    def _quote(self, level: int) -> None:
        """Ends the string of its level, or begins one in a string that is JSON; in another it is
        one of its characters."""
        if level <= len(self._open):
            del self._open[level - 1 :]
        elif level == len(self._open) + 1 <= _DEPTH_MAX and self._is_document():
            self._open.append(0)
            self._head = ""
        else:
            self._within('"')

    def _is_document(self) -> bool:
        """Whether what is innermost has strings of its own: its first quote decides."""
        if self._open and not self._open[-1] and _HEAD.fullmatch(self._head):
            self._open[-1] = _brackets(self._head)
        return not self._open or self._open[-1] > 0


def _brackets(text: str) -> int:
    """How many more are opened than closed."""
    return text.count("{") + text.count("[") - text.count("}") - text.count("]")


def _level(backslashes: int) -> int:
    """Of which strings a quote behind so many backslashes is: 0 are 1; 1 is 2; 3 are 3; 2 are the
    end of a string behind one that is escaped."""
    level = 1
    while backslashes % 2:
        backslashes //= 2
        level += 1
    return level
