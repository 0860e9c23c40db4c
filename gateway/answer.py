"""The verb answer: an upstream's reply, in pieces for the caller. Values restored, usage seen.

JSON and SSE are one path: a plain reply is a stream of one object. What is decided here and why:
docs/internals/streams.md.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

from gateway.answer_text import AnswerText
from gateway.call import Outlet
from gateway.errors import ApiError, TextBlocked, UpstreamFailed
from gateway.fault import error_object, judge, told_in_error
from gateway.forward import Reply, answer_headers, media_type, secret_in
from gateway.json_text import write
from gateway.openai.chunks import DONE, read_object, says_only_usage
from gateway.openai.endings import Endings
from gateway.openai.events import Event, EventReader, EventTooLong, encode
from gateway.openai.overrun import Cap, Overrun
from gateway.openai.places import Path
from gateway.openai.usage import Told, larger, tokens_told
from gateway.pieces import OnePiece, closed, drained, joined
from gateway.privacy.mint import Vault
from gateway.privacy.watch import Watch

DRAIN_SECONDS = 1.0  # after [DONE]: time to see the end, so that the connection can be used again
_MODEL_LENGTH_MAX = 100
_RUNS_MAX = 16  # of events of one piece that might be alike, and are not
_STREAM, _JSON = "text/event-stream", "application/json"


class Answer:
    """A reply on its way to the caller: `begin`, then `pieces`. Its facts are right at any moment,
    also when the iteration was left or cancelled:
    `replied`: the upstream took the request up, and speaks the API;
    `started`: there is something to send, so `status` and `headers` are what the caller gets;
    `complete`: the upstream's answer is whole, or was cut, and no error;
    `cut`: a stream that ran past `cap` was ended by us, with "length";
    `streams`: it comes as events; else it is one object, of a known length, and `body` all of it;
    `told`: the usage that the upstream told last; `served_model`: the model that it names;
    `said`: what it wrote, placeholders and all, by lane; `output_text`: the same, for counting;
    `untold_text`: what of that came after usage was told last."""

    _pieces: AsyncIterator[bytes]
    _endings: Endings  # of a stream
    _outlet: Outlet  # of a stream whose pieces are taken as they come

    def __init__(
        self,
        reply: Reply,
        *,
        wants_usage: bool,
        content_is_json: bool,
        vault: Vault,
        watch: Watch | None = None,
        answer_bytes_max: int,
        upstream_key: str | None,
        cap: Cap | None = None,
    ) -> None:
        self.status = reply.status
        self.headers: list[tuple[str, str]] = []
        self.body: bytes | None = None
        self.replied = self.started = self.complete = self.streams = self.cut = False
        self.told: Told | None = None
        self.served_model = self._named = ""
        self._reply = reply
        self._wants_usage = wants_usage
        self._text = AnswerText(vault, watch, content_is_json, answer_bytes_max)
        self._bytes_max = answer_bytes_max
        self._key, self._key_bytes = secret_in(upstream_key or "")
        self._cap = cap
        self._overrun: Overrun | None = None
        self._failed = self._done = False
        self._is_between = False  # the last event that was read was whole, and told
        self._waits = False  # of a stream all that came was told, but for what is held back

    @property
    def watched(self) -> Mapping[str, int]:
        """What was found in the answer, by `ENTITY:action`."""
        return self._text.watched

    @property
    def said(self) -> Mapping[Path, str]:
        return self._text.said

    @property
    def output_text(self) -> list[str]:
        return self._text.texts

    @property
    def untold_text(self) -> str:
        return self._text.untold_text

    async def begin(self) -> None:
        """Read until there is something to send: of a stream its first events, else all of it.

        Raises ApiError where the reply is no answer for the caller."""
        shown = answer_headers(self._reply.headers)
        if self._key:
            shown = {name: self._without_key(value) for name, value in shown.items()}
        media = media_type(shown.get("content-type", ""))
        good = 200 <= self.status < 300 and self.status not in (204, 205)  # without content
        self.replied = good and media in (_STREAM, _JSON)
        self.streams = good and media == _STREAM
        if self.streams:
            self._overrun = self._text.overrun = Overrun(self._cap) if self._cap else None
            self._endings, self._pieces = Endings(), self._stream()
            if await anext(self._pieces, None) is None:
                raise _invalid("ended before it began")
        else:
            body = await joined(self._reply.pieces, self._bytes_max)
            if body is None:
                raise _invalid(f"is larger than {self._bytes_max} bytes")
            body = self._sent(await (self._whole(body) if good else self._refusal(body)))
            self.body, self._pieces = body, OnePiece(body)
            self.replied = True
            shown["content-type"], shown["content-length"] = _JSON, str(len(body))
        self.headers += shown.items()
        self.started = True

    def pieces(self, outlet: Outlet | None = None) -> AsyncIterator[bytes]:
        """What the caller gets. If the upstream fails on the way: first what was held back, then
        ApiError is raised. What can be passed by a look, and comes while the next piece is waited
        for, as most of a stream does, the `outlet` gets as it comes, and nobody is woken."""
        if outlet is not None and self.streams and self._reply.relay is not None:
            self._outlet = outlet
            self._reply.relay(self._take)
        return self._pieces

    async def held_back(self) -> bytes:
        """What would have followed in a stream whose wait for more was cancelled. Nothing where it
        was left inside of a piece: that would leave a gap. Raises ApiError as the iteration does.
        """
        waits, self._waits = self._waits, False
        return self._sent(await self._text.flush()) if waits else b""

    def _take(self, piece: bytes) -> bool:
        """Whether the outlet got it. No: it is for `_stream`, and nothing was done."""
        outlet = self._outlet
        if not self._is_between or len(piece) > self._bytes_max or not outlet.is_ready():
            return False
        whole = self._text.passed(piece)
        if not whole:
            return False
        outlet.give(whole.replace(self._key_bytes, b"***") if self._key_bytes else whole)
        return True

    async def _whole(self, body: bytes) -> bytes:
        answer = read_object(body)
        if answer is None:
            raise _invalid("is not a JSON object")
        self._observe(answer)
        self.complete = not self._failed
        body = write(answer) if await self._text.restore(answer, whole=True) else body
        self._text.is_told()
        return body

    async def _refusal(self, body: bytes) -> bytes:
        self.told = told_in_error(body)
        self.replied = self.told is not None
        error = judge(self.status, self._reply.headers, body)
        passed_on = error_object(body)
        if error is not None or passed_on is None:
            raise error or _invalid("is not a JSON object")
        await self._text.restore(passed_on, whole=True)
        return write(passed_on)

    async def _stream(self) -> AsyncGenerator[bytes, None]:
        """An empty piece for `begin`, once there is something to send, then all of it."""
        reader = EventReader(self._bytes_max)
        out = bytearray()
        self._waits = True
        try:
            async for piece in self._reply.pieces:
                self._waits = False
                is_short = self._is_between and len(piece) <= self._bytes_max
                if is_short and (whole := self._text.passed(piece)):
                    yield self._sent(whole)
                    self._waits = True
                    continue
                if reader.has_passed(piece):
                    await self._events(piece, out)
                else:
                    for event in reader.feed(piece):
                        whole = event.encode()
                        out += self._text.passed(whole) or await self._event(event, whole)
                        if self._done:
                            break
                self._is_between = reader.holds_nothing
                if self.cut:
                    await closed(self._reply.pieces)  # now: the caller may read slowly
                if out:
                    if not self.started:
                        yield b""
                    yield self._sent(bytes(out))
                    out.clear()
                if self._done:
                    await drained(self._reply.pieces, DRAIN_SECONDS)
                    return
                self._waits = True
            self._waits = False
            out += await self._end(reader.finish())
        except (ApiError, EventTooLong) as error:
            if isinstance(error, TextBlocked):
                self._text.drop()
            if self.started and (held := bytes(out) + await self._text.flush()):
                yield self._sent(held)
            if isinstance(error, EventTooLong):
                raise _invalid(f"has an event of more than {self._bytes_max} bytes") from error
            raise
        if out:
            if not self.started:
                yield b""
            yield self._sent(bytes(out))

    async def _end(self, cut: Event | None) -> bytes:
        """The upstream said all that it will; `cut` is what no blank line closed."""
        if cut is None or cut.data is None:
            self.complete = self._endings.are_all() and not self._failed
            return await self._text.flush()
        if cut.data.strip() == DONE:
            return await self._event(cut, cut.encode())
        raise _invalid("ends in the middle of an event")

    async def _events(self, piece: bytes, out: bytearray) -> None:
        """A piece of some whole events. Those that are alike pass together, as where a model's
        words came one behind the other, or as many of them as need not be counted at once."""
        tries, at = _RUNS_MAX, 0
        while at < len(piece) and not self._done:
            run = self._text.run_in(piece, at) if tries else b""
            if run and (passed := self._text.passed(run)):
                out += passed
                at += len(run)
                continue
            tries -= 1 if tries else 0
            end = piece.index(b"\n\n", at) + 2
            whole, at = piece[at:end], end
            out += self._text.passed(whole) or await self._event(Event(whole[:-2]), whole)

    async def _event(self, event: Event, whole: bytes) -> bytes:
        """What is sent for one event of the upstream: it, with extra ones before it, or nothing."""
        data = event.data
        if data is None:
            return whole
        if data.strip() == DONE:
            self._done, self.complete = True, not self._failed
            return await self._text.flush() + whole
        chunk = read_object(data)
        if chunk is None:
            return await self._text.plain(event, data)
        told = self.told
        self._observe(chunk)
        ending = self._endings.of(chunk)
        says_more = ending or self._failed or chunk.get("usage") is not None
        self._text.look_like(whole, None if says_more else chunk)
        changed = await self._text.restore(chunk, ending=None if self._failed else ending)
        if self.told is not told:
            self._text.is_told()
        out = b""
        if ending or self._failed:
            out = await self._text.flush(None if self._failed else ending)
        hides = not self._wants_usage and isinstance(chunk.get("usage"), dict)
        if not (hides and says_only_usage(chunk)):
            if hides:
                del chunk["usage"]
            changed |= hides
            out += event.with_data(write(chunk)).encode() if changed else whole
        overrun = self._overrun if not self._failed else None
        if overrun and overrun.is_past(self.told) and (running := self._endings.running()):
            self.cut = self.complete = self._done = True
            self._text.count()
            last = overrun.ending(chunk, running, self.told, self._wants_usage)
            out += await self._text.flush()
            out += b"".join(map(encode, (*map(write, last), DONE.encode())))
        return out

    def _observe(self, chunk: dict[str, Any]) -> None:
        """Take the facts out of an answer or a chunk of it."""
        if (usage := chunk.get("usage")) is not None:
            self.told = larger(self.told, tokens_told(usage))
        model = chunk.get("model")
        if model != self._named and isinstance(model, str) and model.isprintable():
            self._named = model
            self.served_model = self._without_key(model)[:_MODEL_LENGTH_MAX] or self.served_model
        if chunk.get("error") is not None:
            self._failed = True

    def _sent(self, data: bytes) -> bytes:
        return data.replace(self._key_bytes, b"***") if self._key_bytes else data

    def _without_key(self, value: str) -> str:
        return value.replace(self._key, "***") if self._key else value


def _invalid(what: str) -> UpstreamFailed:
    return UpstreamFailed(f"The upstream's answer {what}.", code="upstream_invalid_answer")
