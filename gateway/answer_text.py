"""The free text of an answer, lane by lane: kept for counting, watched, restored."""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping
from typing import Any

from gateway.errors import UpstreamFailed
from gateway.json_text import write
from gateway.openai.chunks import continued, put_text, text_at
from gateway.openai.events import encode
from gateway.openai.overrun import Overrun
from gateway.openai.places import Path
from gateway.openai.texts import AnswerPlace, answer_places
from gateway.privacy.mint import Vault
from gateway.privacy.restore import Restorer
from gateway.privacy.watch import Watch

_PLAIN = ("plain",)


class AnswerText:
    """`untold_text`: what of `said` came after usage was told last. `overrun` counts it as it
    comes."""

    def __init__(
        self, vault: Vault, watch: Watch | None, content_is_json: bool, chars_max: int
    ) -> None:
        self.overrun: Overrun | None = None
        self._restorer = Restorer(vault) if vault else None
        self._watch = watch
        self._content_is_json = content_is_json
        self._chars_max = chars_max
        self._said: dict[Path, list[str]] = {}
        self._untold: list[str] = []
        self._said_chars = 0
        self._last: dict[Hashable, tuple[dict[str, Any], AnswerPlace]] = {}

    @property
    def watched(self) -> Mapping[str, int]:
        """What was found, by `ENTITY:action`."""
        return self._watch.counts if self._watch else {}

    @property
    def said(self) -> dict[Path, str]:
        """What the upstream wrote, placeholders and all, by lane."""
        return {lane: "".join(texts) for lane, texts in self._said.items()}

    @property
    def untold_text(self) -> str:
        return "".join(self._untold)

    def is_told(self) -> None:
        """Usage was told of all that came so far."""
        self._untold.clear()

    async def restore(
        self, chunk: dict[str, Any], ending: Container[int] | None = (), whole: bool = False
    ) -> bool:
        """Put values back into the chunk; whether that changed it. Lanes of choices in `ending`
        (None: of all) hold nothing back any more, nor does a chunk that is the whole answer."""
        changed = False
        for place in answer_places(chunk, self._content_is_json):
            text = text_at(chunk, place.path)
            if place.choice is not None:
                self._keep(place.choice, place.lane, text)
            if self._restorer is None and self._watch is None:
                continue
            self._last[place.lane] = (chunk, place)
            told = await self._feed(place.lane, text, place.is_json)
            if whole or ending is None or place.choice in ending:
                told += await self._rest(place.lane, place.is_json)
            if told != text:
                put_text(chunk, place.path, told)
                changed = True
        return changed

    async def flush(self, ending: Container[int] | None = None) -> bytes:
        """Extra events with what the lanes of choices in `ending` (None: of all) hold back."""
        out = b""
        for lane in self._held_lanes():
            chunk, place = self._last[lane]
            if ending is None or place.choice in ending:
                rest = await self._rest(lane, place.is_json)
                out += encode(write(continued(chunk, place, rest)))
        return out

    async def plain(self, data: str) -> str:
        """An event that is no JSON object is a text of its own."""
        return await self._feed(_PLAIN, data, False) + await self._rest(_PLAIN, False)

    def drop(self) -> None:
        """What is held back may not be told."""
        if self._watch is not None:
            self._watch.drop()

    async def _feed(self, lane: Hashable, text: str, is_json: bool) -> str:
        if self._watch is not None:
            text = await self._watch.feed(lane, text, is_json)
        return self._restorer.feed(lane, text, is_json) if self._restorer else text

    async def _rest(self, lane: Hashable, is_json: bool) -> str:
        rest = await self._watch.flush(lane) if self._watch else ""
        if self._restorer is None:
            return rest
        return self._restorer.feed(lane, rest, is_json) + self._restorer.flush(lane)

    def _held_lanes(self) -> list[Hashable]:
        held = self._restorer.held_lanes() if self._restorer else []
        return [*dict.fromkeys([*(self._watch.held_lanes() if self._watch else ()), *held])]

    def _keep(self, choice: int, lane: Path, text: str) -> None:
        self._said.setdefault(lane, []).append(text)
        self._untold.append(text)
        self._said_chars += len(text)
        if self.overrun:
            self.overrun.add(choice, lane[1], text)
        if self._said_chars > self._chars_max:
            raise UpstreamFailed(
                f"The upstream's answer has more than {self._chars_max} characters of text.",
                code="upstream_invalid_answer",
            )
