"""The verb answer: an upstream's reply, in pieces for the caller. Values restored, usage seen.

JSON and SSE are one path: a plain reply is a stream of one object. What is decided here and why:
docs/internals/streams.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Container, Hashable
from contextlib import aclosing, suppress
from typing import Any

from gateway.errors import ApiError, UpstreamFailed
from gateway.forward import Reply, answer_headers, error_object, judge, told_in_error
from gateway.openai.chunks import (
    DONE,
    choices,
    continued,
    put_text,
    read_object,
    says_only_usage,
    text_at,
    written,
)
from gateway.openai.events import Event, EventReader, EventTooLong, encode
from gateway.openai.overrun import Cap, Overrun
from gateway.openai.texts import ERROR_CHOICE, AnswerPlace, answer_places
from gateway.openai.usage import Told, larger, tokens_told
from gateway.privacy.redact import Vault
from gateway.privacy.restore import Restorer

DRAIN_SECONDS = 1.0  # after [DONE]: time to see the end, so that the connection can be used again
_KEY_LENGTH_MIN = 12  # a shorter one is no secret, but a word that any answer may have ("EMPTY")
_MODEL_LENGTH_MAX = 100
_STREAM, _JSON = "text/event-stream", "application/json"


class Answer:
    """A reply on its way to the caller: `begin`, then `pieces`. Its facts are right at any moment,
    also when the iteration was left or cancelled:
    `replied`: the upstream took the request up, and speaks the API;
    `started`: there is something to send, so `status` and `headers` are what the caller gets;
    `complete`: the upstream's answer is whole, or was cut, and no error;
    `cut`: a stream that ran past `cap` was ended by us, with "length";
    `streams`: it comes as events; else it is one object, of a known length;
    `told`: the usage that the upstream told last; `served_model`: the model that it names;
    `output_text`: what it wrote, placeholders and all, one text a lane, for counting;
    `untold_text`: what of that came after usage was told last."""

    def __init__(
        self,
        reply: Reply,
        *,
        wants_usage: bool,
        content_is_json: bool,
        vault: Vault,
        answer_bytes_max: int,
        upstream_key: str | None,
        cap: Cap | None = None,
    ) -> None:
        self.status = reply.status
        self.headers: list[tuple[str, str]] = []
        self.replied = self.started = self.complete = self.streams = self.cut = False
        self.told: Told | None = None
        self.served_model = ""
        self._reply = reply
        self._wants_usage = wants_usage
        self._content_is_json = content_is_json
        self._restorer = Restorer(vault) if vault else None
        self._bytes_max = answer_bytes_max
        key = (upstream_key or "").strip()
        self._key = key if len(key) >= _KEY_LENGTH_MIN else None
        self._first = b""
        self._rest: AsyncGenerator[bytes, None] | None = None
        self._overrun = Overrun(cap) if cap else None
        self._said: dict[Hashable, list[str]] = {}
        self._untold: list[str] = []
        self._said_chars = 0
        self._last: dict[Hashable, tuple[dict[str, Any], AnswerPlace]] = {}
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._failed = self._done = False

    @property
    def output_text(self) -> list[str]:
        return ["".join(texts) for texts in self._said.values()]

    @property
    def untold_text(self) -> str:
        return "".join(self._untold)

    async def begin(self) -> None:
        """Read until there is something to send: of a stream its first events, else all of it.

        Raises ApiError where the reply is no answer for the caller."""
        shown = dict(answer_headers(self._reply.headers))
        media = shown.get("content-type", "").partition(";")[0].strip().lower()
        good = 200 <= self.status < 300
        self.replied = good and media in (_STREAM, _JSON)
        self.streams = good and media == _STREAM
        if self.streams:
            self._rest = self._stream()
            self._first = await anext(self._rest, b"")
            if not self._first:
                raise _invalid("ended before it began")
        else:
            self._first = self._sent(await self._whole() if good else await self._refusal())
            self.replied = True
            shown |= {"content-type": _JSON, "content-length": str(len(self._first))}
        self.headers = [(name, self._without_key(value)) for name, value in shown.items()]
        self.started = True

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """What the caller gets. If the upstream fails on the way: first what was held back, then
        ApiError is raised."""
        yield self._first
        if self._rest is not None:
            async with aclosing(self._rest) as rest:
                async for piece in rest:
                    yield piece

    async def _whole(self) -> bytes:
        body = await self._body()
        answer = read_object(body)
        if answer is None:
            raise _invalid("is not a JSON object")
        self._observe(answer)
        self.complete = not self._failed
        body = written(answer) if self._restore(answer, whole=True) else body
        self._untold.clear()
        return body

    async def _refusal(self) -> bytes:
        body = await self._body()
        self.told = told_in_error(body)
        self.replied = self.told is not None
        error = judge(self.status, self._reply.headers, body)
        passed_on = error_object(body)
        if error is not None or passed_on is None:
            raise error or _invalid("is not a JSON object")
        self._restore(passed_on, whole=True)
        return written(passed_on)

    async def _body(self) -> bytes:
        body = bytearray()
        async for piece in self._reply.pieces:
            body += piece
            if len(body) > self._bytes_max:
                raise _invalid(f"is larger than {self._bytes_max} bytes")
        return bytes(body)

    async def _stream(self) -> AsyncGenerator[bytes, None]:
        reader = EventReader(self._bytes_max)
        out = bytearray()
        try:
            async for piece in self._reply.pieces:
                for event in reader.feed(piece):
                    out += self._event(event)
                    if self._done:
                        break
                if self.cut and isinstance(self._reply.pieces, AsyncGenerator):
                    await self._reply.pieces.aclose()  # now: the caller may read slowly
                if out:
                    yield self._sent(bytes(out))
                    out.clear()
                if self._done:
                    await self._drain()
                    return
            out += self._end(reader.finish())
        except (ApiError, EventTooLong) as error:
            if self.started and (held := bytes(out) + self._flush()):
                yield self._sent(held)
            if isinstance(error, EventTooLong):
                raise _invalid(f"has an event of more than {self._bytes_max} bytes") from error
            raise
        if out:
            yield self._sent(bytes(out))

    def _end(self, cut: Event | None) -> bytes:
        """The upstream said all that it will; `cut` is what no blank line closed."""
        if cut is None or cut.data is None:
            self.complete = bool(self._open) and self._open <= self._finished and not self._failed
            return self._flush()
        if cut.data.strip() == DONE:
            return self._event(cut)
        raise _invalid("ends in the middle of an event")

    async def _drain(self) -> None:
        with suppress(ApiError, TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                async for _ in self._reply.pieces:
                    pass

    def _event(self, event: Event) -> bytes:
        """What is sent for one event of the upstream: it, with extra ones before it, or nothing."""
        if event.data is None:
            return event.encode()
        if event.data.strip() == DONE:
            self._done, self.complete = True, not self._failed
            return self._flush() + event.encode()
        chunk = read_object(event.data)
        if chunk is None:
            return self._plain(event, event.data)
        told = self.told
        ending = self._observe(chunk)
        changed = self._restore(chunk, ending=None if self._failed else ending)
        if self.told is not told:
            self._untold.clear()
        out = self._flush(None if self._failed else ending)
        hides = not self._wants_usage and isinstance(chunk.get("usage"), dict)
        if not (hides and says_only_usage(chunk)):
            if hides:
                del chunk["usage"]
            changed |= hides
            out += (event.with_data(written(chunk)) if changed else event).encode()
        running = sorted(self._open - self._finished)
        if running and not self._failed and self._overrun and self._overrun.is_past(self.told):
            self.cut = self.complete = self._done = True
            last = self._overrun.ending(chunk, running, self.told, self._wants_usage)
            out += self._flush() + b"".join(map(encode, (*map(written, last), DONE.encode())))
        return out

    def _plain(self, event: Event, data: str) -> bytes:
        """An event that is no JSON object: a text of its own, restored if there is a vault."""
        if self._restorer is None:
            return event.encode()
        lane = ("plain",)
        restored = self._restorer.feed(lane, data) + self._restorer.flush(lane)
        if restored == data:
            return event.encode()
        return event.with_data(restored.encode("utf-8", "replace")).encode()

    def _observe(self, chunk: dict[str, Any]) -> set[int]:
        """Take the facts out of a chunk; the choices that it ends."""
        self.told = larger(self.told, tokens_told(chunk.get("usage")))
        model = chunk.get("model")
        if isinstance(model, str) and model.isprintable():
            named = self._without_key(model)[:_MODEL_LENGTH_MAX]
            self.served_model = named or self.served_model
        if chunk.get("error") is not None:
            self._failed = True
        said = choices(chunk)
        ending = {index for index, finished in said.items() if finished}
        self._open.update(said)
        self._finished |= ending
        return ending

    def _restore(
        self, chunk: dict[str, Any], ending: Container[int] | None = (), whole: bool = False
    ) -> bool:
        """Put values back into the chunk; whether that changed it. Lanes of choices in `ending`
        (None: of all) hold nothing back any more, nor does a chunk that is the whole answer."""
        changed = False
        for place in answer_places(chunk, self._content_is_json):
            text = text_at(chunk, place.path)
            if place.choice != ERROR_CHOICE:
                self._keep(place, text)
            if self._restorer is None:
                continue
            self._last[place.lane] = (chunk, place)
            restored = self._restorer.feed(place.lane, text, place.json_depth)
            if whole or ending is None or place.choice in ending:
                restored += self._restorer.flush(place.lane)
            if restored != text:
                put_text(chunk, place.path, restored)
                changed = True
        return changed

    def _flush(self, ending: Container[int] | None = None) -> bytes:
        """Extra events with what the lanes of choices in `ending` (None: of all) hold back."""
        out = b""
        for lane in self._restorer.held_lanes() if self._restorer else ():
            chunk, place = self._last[lane]
            if ending is None or place.choice in ending:
                assert self._restorer is not None
                extra = continued(chunk, place, self._restorer.flush(lane))
                out += encode(written(extra))
        return out

    def _keep(self, place: AnswerPlace, text: str) -> None:
        self._said.setdefault(place.lane, []).append(text)
        self._untold.append(text)
        self._said_chars += len(text)
        if self._overrun and self.streams:
            self._overrun.add(place.choice, place.lane[1], text)
        if self._said_chars > self._bytes_max:
            raise _invalid(f"has more than {self._bytes_max} characters of text")

    def _sent(self, data: bytes) -> bytes:
        if self._key is None or self._key.encode() not in data:
            return data
        return data.replace(self._key.encode(), b"***")

    def _without_key(self, value: str) -> str:
        return value.replace(self._key, "***") if self._key else value


def _invalid(what: str) -> UpstreamFailed:
    return UpstreamFailed(f"The upstream's answer {what}.", code="upstream_invalid_answer")
