"""Where people and machines are reached: e-mail and IP addresses."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from ipaddress import ip_address

from tldextract import TLDExtract

from gateway.backends.recognizers.finder import (
    NOT_A_FRACTION,
    NUMBER_END,
    STARTED,
    Finder,
    Found,
)

_ALNUM = frozenset(string.ascii_letters + string.digits)
_PRIVATE_SUFFIXES = "corp docker example home internal intranet invalid lan local localdomain test"


class Email(Finder):
    """E-mail addresses whose domain ends in a public suffix, or in one that private networks use.

    The suffixes are those in the wheel of tldextract: as it comes, it would fetch a newer list over
    the network. The part before the `@` is read backwards from it, so no text is tried twice."""

    ENTITY = "EMAIL_ADDRESS"
    NEEDLES = ("@", "%40")
    _LABEL = r"[0-9A-Za-z\u00C0-\u024F-]++"
    _DOMAIN = re.compile(rf"@({_LABEL}(?:\.{_LABEL}){{1,126}})")
    _DOMAIN_OR_ESCAPED = re.compile(rf"(?:@|%40)({_LABEL}(?:\.{_LABEL}){{1,126}})")
    _LOCAL = re.compile(r"[0-9A-Za-z\u00C0-\u024F_.+%&~'-]++")
    _LOCAL_START = re.compile(r"[0-9A-Za-z\u00C0-\u024F_]")
    _RARE_LOCAL = re.compile(r"[0-9A-Za-z\u00C0-\u024F_.+%&~'#!$*^-]++")
    _NOT_BEFORE_RARE = re.compile(r"[0-9A-Za-z:/?=&@\\|%{}.]")
    _ESCAPE = re.compile(r"\\(?:[bfnrt]|u[0-9A-Fa-f]{4})")
    _IN_URL = re.compile(
        r"[0-9A-Za-z]://[^\s/?#:@,;<>\"']{0,100}+:(?![0-9]{1,5}[?#])"
        r"[^\s/@,;|=&(){}\[\]<>\\\"'`]{1,200}+\Z"
    )
    _IN_URL_MAX = 305
    _LOCAL_MAX = 64  # RFC 5321, 4.5.3.1.1
    _LABELS_MAX = 20  # of a domain; how often a shorter one is tried is bounded by it

    def __init__(self) -> None:
        super().__init__()
        suffixes = TLDExtract(suffix_list_urls=(), cache_dir=None).tlds
        self._suffixes = {name for name in suffixes if "." not in name}
        self._suffixes.update(_PRIVATE_SUFFIXES.split())

    def find(self, text: str) -> Iterator[Found]:
        done = 0
        has_url = "://" in text
        shape = self._DOMAIN_OR_ESCAPED if "%40" in text else self._DOMAIN
        for found in shape.finditer(text):
            at = found.start()
            length = self._domain_length(found[1])
            start = self._local_start(text, at, done)
            if length and start < at and not (has_url and self._is_in_url(text, at)):
                done = found.start(1) + length
                yield start, done, 1.0

    def _local_start(self, text: str, at: int, done: int) -> int:
        floor = at - self._LOCAL_MAX
        if floor < done:
            floor = done
        run = self._LOCAL.match(text[floor:at][::-1])
        start = at - run.end() if run else at
        if start < at and text[start] in _ALNUM and (not start or text[start - 1] in " \n"):
            return start  # as nearly all do
        if text[start - 1 : start] == "\\" and (escape := self._ESCAPE.match(text, start - 1, at)):
            start = escape.end()
        first = self._LOCAL_START.search(text, start, at)
        if first is None:
            return at
        start = first.start()
        goes_on = start > floor and self._RARE_LOCAL.match(text, start - 1, start)
        return self._with_rare(text, start, floor) if goes_on else start

    def _with_rare(self, text: str, start: int, floor: int) -> int:
        """`john#doe@`: characters of RFC 5322 that prose and URLs have too, where all before them
        up to a space or the like may be of the address."""
        further = _begin_of_run(self._RARE_LOCAL, text, start, floor)
        if escape := self._ESCAPE.match(text, max(0, further - 1), start):
            further = escape.end()
        elif further and self._NOT_BEFORE_RARE.match(text, further - 1):
            return start
        return further if self._LOCAL_START.match(text, further) else start

    def _is_in_url(self, text: str, at: int) -> bool:
        """`user:password@host` of a URL: a password, and no address. Where it may as well be an
        address behind a URL with a port, it is one."""
        return bool(self._IN_URL.search(text[max(0, at - self._IN_URL_MAX) : at]))

    def _domain_length(self, domain: str) -> int:
        """How much of what looks like a domain is one: up to its last known suffix, or 0."""
        if domain.rpartition(".")[2] in self._suffixes and domain.count(".") < self._LABELS_MAX:
            return len(domain)
        labels = domain.split(".")[: self._LABELS_MAX]
        while len(labels) > 1:
            suffix = labels[-1].partition("-")[0] if labels[-1][:4] != "xn--" else labels[-1]
            if suffix.lower() in self._suffixes:
                return len(".".join(labels[:-1])) + 1 + len(suffix)
            labels.pop()
        return 0


def _begin_of_run(run: re.Pattern[str], text: str, at: int, floor: int) -> int:
    """Where the run of such characters before `at` begins: the text is turned round, so that it is
    one match and not one for each character."""
    found = run.match(text[floor:at][::-1])
    return at - found.end() if found else at


class IpAddress(Finder):
    """IPv4 and IPv6 addresses, but those that name no machine: loopback, unspecified, net masks.

    Four numbers may be a version as well, so IPv4 has the lower score. Of IPv6 one digit must be
    decimal, and the first group have three, or another of three groups at least, or there be eight
    groups: `ab::cd`, `bad::cafe` and `1::2` are code. A zone (`%eth0`) is no part of it."""

    ENTITY = "IP_ADDRESS"
    DIGITS_MIN = 1
    NEEDLES = (":",)
    SHAPES = (b"0.0",)
    _V4 = re.compile(
        rf"[0-9]{STARTED}{NOT_A_FRACTION}[0-9]{{0,2}}+(?:\.[0-9]{{1,3}}+){{3}}{NUMBER_END}"
    )
    _V6_GATE = re.compile(r":[0-9A-Fa-f]{0,4}+:")
    _V6 = re.compile(
        rf"[0-9A-Fa-f]{STARTED}(?<!:.)[0-9A-Fa-f]{{0,3}}+"
        r"(?::[0-9A-Fa-f]{0,4}+){2,8}(?![0-9A-Za-z:])"
    )

    def find(self, text: str) -> Iterator[Found]:
        shapes = [(self._V4, 0.6)] if text.count(".") > 2 else []
        if text.count(":") > 1 and self._V6_GATE.search(text):
            shapes.append((self._V6, 0.9))
        for shape, score in shapes:
            for found in shape.finditer(text):
                written = found[0]
                if written[-1] == ":" and written[-2] != ":":
                    written = written[:-1]  # a colon behind the address
                if _names_a_machine(written):
                    yield found.start(), found.start() + len(written), score


def _names_a_machine(written: str) -> bool:
    try:
        address = ip_address(written)
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified or written.startswith("255."):
        return False
    return any(one.isdecimal() for one in written) and (
        ":" not in written or _is_unmistakable(written)
    )


def _is_unmistakable(written: str) -> bool:
    """Whether a valid address is too long for a slice, a clock or the number of a network card."""
    groups = [group for group in written.split(":") if group]
    longest = max(map(len, groups))
    whole = len(groups) == 8 and any(len(group) != 2 for group in groups)
    return len(groups[0]) > 2 or (len(groups) > 2 and longest > 2) or whole
