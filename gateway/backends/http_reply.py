"""A reply's bytes, in whatever pieces they arrive, read as HTTP/1.1 (RFC 9112). Pure.

The parser is llhttp's, by httptools. Like browsers, it takes a line end without its CR and spaces
after the size of a chunk, both of which some servers write; the bounds are ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import httptools

HEAD_BYTES_MAX = 64 * 1024  # of all heads of a reply together: interim ones, its own, its trailers
HEADERS_MAX = 256
_NO_BODY = (204, 304)
_LINE_ENDS = (b"", b"\r", b"\n")
_TIMEOUT = re.compile(r"(?i)\btimeout=(\d{1,9})\b")


class NotHttp(Exception):
    """What came is no reply of HTTP/1.1, or one without bounds."""


class CutOff(Exception):
    """The connection ended before the reply did."""


class ReplyReader:
    """One reply. `status` and `headers` hold once it has `begun`, and `kept_seconds`, for how long
    the server keeps the connection, if it says; `is_coded`, if its body has a coding; `reusable`
    tells, once it is `complete`, whether the connection can carry another one. `pieces` of its body
    wait here, in at most `buffered` bytes. `relayed` is asked, where somebody waits for a piece,
    whether what arrived went on without waking anybody: then until when the wait goes on, else
    0."""

    __slots__ = ("_dry_bytes", "_head_bytes", "_keep_alive", "_parser", "_sized", "_until_eof",
                 "begun", "buffered", "complete", "headers", "is_coded", "kept_seconds", "on_body",
                 "pieces", "relayed", "reusable", "status")  # fmt: skip

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.begun = self.complete = self.reusable = self.is_coded = False
        self.kept_seconds: float | None = None
        self.buffered = 0
        self.relayed: Callable[[], float] | None = None
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append  # a stream has many, so that is no method of ours
        self._head_bytes = self._dry_bytes = 0
        self._keep_alive = self._until_eof = self._sized = False
        parser = httptools.HttpResponseParser(self)
        parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._parser: httptools.HttpResponseParser | None = parser

    def feed(self, data: bytes) -> None:
        """Raises NotHttp. What follows the reply is dropped; its connection is not reusable."""
        parser = self._parser
        if parser is None:
            raise NotHttp
        had_begun, pieces, had = self.begun, self.pieces, len(self.pieces)
        self.buffered += len(data)  # its frame included: that is a bound, too, and costs no sum
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._parser = None
            if not self.complete:
                raise NotHttp from error
            return
        if not had_begun:
            self._has_body()
        if self.complete:
            self.reusable = self._keep_alive and self._is_end(data)
            self._parser = None  # they hold each other
        elif len(pieces) == had and self.begun == had_begun:
            self._dry_bytes += len(data)
            if self._dry_bytes > HEAD_BYTES_MAX:
                self._parser = None
                raise NotHttp
        else:
            self._dry_bytes = 0

    def end(self) -> None:
        """The server closed. Raises CutOff where that is not how the reply ends."""
        self._parser = None
        if self.complete:
            return
        if not self._until_eof:
            raise CutOff
        self.complete = True

    def drop(self) -> None:
        """Nobody reads on."""
        self._parser = None

    def take(self) -> bytes:
        """All of the body that has arrived since the last call; empty if nothing has."""
        pieces = self.pieces
        if not pieces:
            return b""
        taken = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered = 0
        return taken

    def on_message_begin(self) -> None:
        if self.complete:
            raise NotHttp  # a reply that nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > HEAD_BYTES_MAX:
            raise NotHttp
        if not self.begun:  # trailers are dropped
            if len(self.headers) >= HEADERS_MAX:
                raise NotHttp
            self.headers.append(
                (str(name, "latin-1").lower(), str(value, "utf-8", "surrogateescape"))
            )

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        status = parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:
                raise NotHttp  # another protocol, which nobody asked for
            self.headers = []
            return
        named = dict(self.headers)
        coding = named.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            raise NotHttp
        has_length = "content-length" in named
        self.status, self.begun = status, True
        self._keep_alive = parser.should_keep_alive()
        if "keep-alive" in named and (told := _TIMEOUT.search(named["keep-alive"])):
            self.kept_seconds = float(told[1])
        self._sized, self.is_coded = has_length, "content-encoding" in named
        self._until_eof = not has_length and coding is None and status not in _NO_BODY

    def on_message_complete(self) -> None:
        self._has_body()
        self.complete = self.begun  # or an interim reply

    def _has_body(self) -> None:
        if self.pieces and not self.begun:
            raise NotHttp  # an interim reply has none

    def _is_end(self, data: bytes) -> bool:
        """Whether the reply ends where `data` does. The parser tells of anything behind it but for
        line ends, which it skips; where they could be either, the answer is no."""
        if self._sized and self.pieces:
            last = self.pieces[-1]
            return data.endswith(last) and not last.isspace()
        if data in (b"\n", b"\r\n"):
            return True
        return data.endswith(b"\r\n\r\n") and data[-5:-4] not in _LINE_ENDS
