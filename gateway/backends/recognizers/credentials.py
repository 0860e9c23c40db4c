"""What stands behind a word that says so: passwords, and tokens and keys of any provider."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Final

from gateway.backends.recognizers.assignments import (
    assigned,
    is_expression,
    is_place,
    looks_random,
    names,
    spaced,
    written_for_readers,
)
from gateway.backends.recognizers.finder import Finder, Found
from gateway.backends.recognizers.reading import in_small_letters
from gateway.privacy.spans import word_start

_SAMPLES: Final = frozenset(
    [
        "admin",
        "administrator",
        "anonymous",
        "bytes",
        "changeit",
        "changeme",
        "changethis",
        "default",
        "disabled",
        "dummy",
        "empty",
        "enabled",
        "example",
        "fake",
        "false",
        "field",
        "foobar",
        "guest",
        "hidden",
        "hunter",
        "incorrect",
        "input",
        "invalid",
        "letmein",
        "missing",
        "mock",
        "none",
        "null",
        "number",
        "object",
        "optional",
        "pass",
        "passphrase",
        "passwd",
        "password",
        "passwort",
        "placeholder",
        "postgres",
        "pwd",
        "redacted",
        "replaceme",
        "replace",
        "required",
        "root",
        "sample",
        "secret",
        "secretstr",
        "string",
        "test",
        "testing",
        "text",
        "tiger",
        "token",
        "true",
        "undefined",
        "unknown",
        "user",
        "username",
        "value",
        "xxxx",
        "your",
        "yourpassword",
        "yoursecret",
        "mypassword",
        "mysecret",
        "mytoken",
        "somepassword",
        "mypass",
        "pw",
        "here",
        "foo",
        "bar",
        "baz",
        "qux",
        "abc",
        "abcdef",
    ]
)
"""What documentation writes for a password, and what programs write where its type stands."""

_SAMPLE_PARTS = re.compile(
    "your[-_ ]?|change[-_ ]?me|replace|example|placeholder|dummy|redacted|sample|insert[-_ ]",
    re.IGNORECASE,
)
_NOT_LETTERS = re.compile(r"[\W\d_]++", re.ASCII)
_WORDS = re.compile(r"[A-Za-z]{1,40}+(?:[_-][A-Za-z]{1,40}+){1,12}")
_OF_A_NAME = re.compile("pass|pwd|secret|token|key|user|name|field|hash|input|auth", re.IGNORECASE)


def _is_sample(value: str) -> bool:
    """A word that documentation uses, as it is or among other letters only."""
    letters = value.isalpha()
    if letters and (value.lower() in _SAMPLES or _OF_A_NAME.search(value)):
        return True
    return bool(_WORDS.fullmatch(value) or _SAMPLE_PARTS.search(value))


_CLOSING = ".:!?)]}\\'"
"""What may stand behind a word of prose or code: a password may end in it, a word does not."""


class Password(Finder):
    """Passwords in addresses and connection strings, and behind a word that says password.

    The span is the password alone. What documentation writes for one is none: `<password>`, `***`,
    `${VAR}`, `changeme`. A bare word of letters only is one in an environment file and before a
    `;`, but not in code, where it is a variable."""

    ENTITY = "PASSWORD"
    SMALL_NEEDLES = ("pass", "pw", "kennwort", "contrase", "senha", "wachtwoord",
                     "密码", "密碼", "口令", "パスワード", "비밀번호")  # fmt: skip
    _NAME = re.compile(
        rf"(?:pass(?:word|wort|wd|phrase|code)|{word_start(joins='a-z')}(?:pass|pwd?)|kennwort"
        r"|(?<=mot de )passe|wachtwoord|contraseña|contrasena|senha"
        r"|密码|密碼|口令|パスワード|비밀번호)"
        r"(?:[_-]?[0-9]{1,2})?"
        r"(?![0-9A-Za-z_-])",
    )
    _SHORT = ("pass", "pwd", "pw")
    _SHORT_BEFORE = re.compile(
        r"""(?:[_"'`.<?&;*|-]|[^\x00-\x7f]"""
        r"""|(?:\A|[\n\r]|\\[bfnrt]|\\u[0-9a-fA-F]{4})[ \t]{0,20})\Z"""
    )
    _SHORT_REACH = 22
    _IN_URL = re.compile(
        r""":(?<=[0-9A-Za-z]:)//[^\s/?#:@"'`<>\\]{0,100}+:([^\s/"'`<>\\]{1,200})@"""
        r"""(?=[0-9A-Za-z\[_])"""
    )
    _IN_GO = re.compile(r"""[\w.-](?<![\w.-].)[\w.-]{0,63}+:([^\s"'`<>]{1,100})@(?:tcp|unix)\(""")
    _IN_ORACLE = re.compile(r"""[Tt]hin:[\w.-]{1,64}+/([^\s"'`<>/]{1,100})@""")
    _ADDRESSES = (("://", _IN_URL), ("@tcp(", _IN_GO), ("@unix(", _IN_GO), ("hin:", _IN_ORACLE))
    NEEDLES = ("://", "@tcp(", "@unix(", "hin:")
    _LENGTH_MIN = 6

    def find(self, text: str) -> Iterator[Found]:
        if "@" in text:
            yield from self._in_addresses(text)
        small = in_small_letters(text)
        for start in names(small, self.SMALL_NEEDLES):
            name = self._NAME.match(small, start)
            if name and self._stands_alone(text, name):
                yield from self._behind(text, name)

    def _in_addresses(self, text: str) -> Iterator[Found]:
        for needle, shape in self._ADDRESSES:
            if needle in text:
                for found in shape.finditer(text):
                    value = found[1]
                    known = _NOT_LETTERS.sub("", value).lower() in _SAMPLES
                    if not known and not written_for_readers(value) and not _is_sample(value):
                        yield (*found.span(1), 0.95)

    def _stands_alone(self, text: str, name: re.Match[str]) -> bool:
        """`pass` and `pwd` are words of prose and shells too: they need a sign before them."""
        if name[0] not in self._SHORT:
            return True
        start = name.start()
        before = text[max(0, start - self._SHORT_REACH) : start]
        is_given = text.startswith("=", name.end()) and before[-1:] == " "
        return text[start].isupper() or is_given or bool(self._SHORT_BEFORE.search(before))

    def _behind(self, text: str, name: re.Match[str]) -> Iterator[Found]:
        given = assigned(text, name.end(), name.start())
        if given is None:
            given = spaced(text, name.end())
            if given is None or not _is_mixed(given.value):
                return
        if len(given.value) < self._LENGTH_MIN:
            return
        value = given.value if given.literal else given.value.rstrip(_CLOSING)
        if written_for_readers(value) or is_place(value) or _is_sample(value):
            return
        if " " in value and not _is_phrase(value):
            return
        if not given.literal and (value.isalpha() or _is_code(value, given.value.endswith("!"))):
            return
        yield given.start, given.end, 0.8 if given.literal else 0.6


def _is_mixed(value: str) -> bool:
    """No word, and no name of something: what nothing but a space gives to a password."""
    return looks_random(value) and not is_place(value)


_PHRASE_WORDS_MAX = 6
_LETTER, _DIGIT = re.compile("[A-Za-z]"), re.compile("[0-9]")
_NUMBERED = re.compile(r"[A-Za-z0-9]{1,40}?(?:[0-9]{4}|[0-9][A-Za-z]{1,30}[0-9]{2})")


def _is_phrase(value: str) -> bool:
    """Words in quotes: a sentence about passwords, unless one has letters and digits."""
    words = value.split(" ")
    if len(words) > _PHRASE_WORDS_MAX or not value.isprintable() or _OF_A_NAME.search(value):
        return False
    return any(_LETTER.search(word) and _DIGIT.search(word) for word in words)


def _is_code(value: str, called_out: bool) -> bool:
    """`hunter2` may be a variable: with a digit, and no word of a name in it, it is a password. So
    it is with a word of a name where no variable ends so (`Gr8pass99`, `Summerpass2024`), and an
    attribute if an exclamation mark follows (`called_out`)."""
    if not is_expression(value):
        return False
    digit = any(one.isdigit() for one in value)
    if not digit or not (value.isalnum() or called_out):
        return True
    if not _OF_A_NAME.search(value):
        return False
    known = _NOT_LETTERS.sub("", value).lower() in _SAMPLES
    return known or not _NUMBERED.fullmatch(value)


class Secret(Finder):
    """Tokens, keys and secrets of any form behind a word that says so, if they look random."""

    ENTITY = "SECRET"
    SMALL_NEEDLES = ("key", "token", "secret", "credential", "bearer ", "basic ",
                     "密钥", "密鑰", "令牌")  # fmt: skip
    _KEY_OF = re.compile(
        r"(?:api|access|secret|private|auth|crypt(?:ion)?|signing|master|account|shared|app"
        r"|application|client|service|subscription|license|storage|admin|deploy|hmac|session"
        r"|consumer|x)[ _.-]?\Z"
    )
    _NAME = re.compile(
        r"(?:key|token|secret|credential|密钥|密鑰|令牌)"
        r"(?:[_-]?(?:key|value|base64|b64|prod|dev|live|test|[0-9]{1,2}))?(?![0-9a-z_-])"
    )
    _SCHEME = re.compile(r"""(bearer|basic) {1,4}+["']?([0-9A-Za-z+/=._~-]{8,4096}+)""")
    _VALUE = re.compile(r"[!-~]{8,200}")
    _KEY_BEFORE = 16

    def find(self, text: str) -> Iterator[Found]:
        small = in_small_letters(text)
        for start in names(small, self.SMALL_NEEDLES):
            if scheme := self._SCHEME.match(small, start):
                value = text[scheme.start(2) : scheme.end(2)]
                if _basic(value) if scheme[1] == "basic" else _is_token(value):
                    yield (*scheme.span(2), 0.9)
            elif name := self._name(small, start):
                given = assigned(text, name.end(), name.start())
                if given and self._VALUE.fullmatch(given.value) and _is_token(given.value):
                    yield given.start, given.end, 0.75 if given.literal else 0.65

    def _name(self, small: str, start: int) -> re.Match[str] | None:
        """Keys are many things: only those of an interface, a client and such are secret."""
        before = small[max(0, start - self._KEY_BEFORE) : start]
        if small.startswith("key", start) and not self._KEY_OF.search(before):
            return None
        return self._NAME.match(small, start)


def _is_token(value: str) -> bool:
    if written_for_readers(value) or is_place(value) or _SAMPLE_PARTS.search(value):
        return False
    return looks_random(value)


def _basic(value: str) -> bool:
    """RFC 7617: a user and a password in base64."""
    try:
        return b":" in base64.b64decode(value, validate=True)
    except ValueError:
        return False
