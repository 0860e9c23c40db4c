"""The free text of an answer, lane by lane: kept for counting, watched, restored."""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import UpstreamFailed
from gateway.json_text import write
from gateway.openai.alike import Alike, alike
from gateway.openai.chunks import continued, put_text, text_at
from gateway.openai.events import Event, encode
from gateway.openai.overrun import Overrun
from gateway.openai.places import Path
from gateway.openai.texts import AnswerPlace, answer_places
from gateway.openai.tokens import utf8_length
from gateway.privacy.mint import Vault
from gateway.privacy.restore import Restorer
from gateway.privacy.watch import Watch

_PLAIN = ("plain",)
_VAIN_MAX = 8  # in a stream in which no event is alike to the one before, looking for it is in vain


@dataclass(slots=True)
class _Lane:
    """What the upstream wrote in one lane. Of its `texts`, usage was `told` of so many, and so many
    were `counted`."""

    choice: int
    texts: list[str] = field(default_factory=list)
    told: int = 0
    counted: int = 0


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
        self._lanes: dict[Path, _Lane] = {}
        self._chars = 0  # of texts that were counted
        self._uncounted_bytes_max = 0  # how much more text cannot be too much
        self._alike: Alike | None = None
        self._vain = 0
        self._last: dict[Hashable, tuple[dict[str, Any], AnswerPlace]] = {}

    @property
    def watched(self) -> Mapping[str, int]:
        """What was found, by `ENTITY:action`."""
        return self._watch.counts if self._watch else {}

    @property
    def said(self) -> dict[Path, str]:
        """What the upstream wrote, placeholders and all, by lane."""
        return {lane: "".join(one.texts) for lane, one in self._lanes.items()}

    @property
    def texts(self) -> list[str]:
        """What was said, in each lane."""
        return ["".join(one.texts) for one in self._lanes.values()]

    @property
    def untold_text(self) -> str:
        return "".join([text for one in self._lanes.values() for text in one.texts[one.told :]])

    def is_told(self) -> None:
        """Usage was told of all that came so far."""
        for lane in self._lanes.values():
            lane.told = len(lane.texts)

    def look_like(self, whole: bytes, chunk: dict[str, Any] | None) -> None:
        """Events like this one, in which nothing but the text matters, are `passed` from now on;
        None: no events are."""
        like = self._alike
        if chunk is not None and like is not None and like.texts_in(whole):
            return
        self._alike = None
        if chunk is None or self._watch is not None or self._vain >= _VAIN_MAX:
            return
        places = answer_places(chunk, self._content_is_json)
        if len(places) == 1 and places[0].choice is not None and text_at(chunk, places[0].path):
            self._vain += 1
            self._alike = alike(whole[:-2], places[0])

    def run_in(self, events: bytes, at: int) -> bytes:
        """What of `events`, from `at` on, may be `passed` at once."""
        like = self._alike
        return like.run_in(events, at, self._uncounted_bytes_max) if like is not None else b""

    def passed(self, piece: bytes) -> bytes:
        """What is sent for whole events that are like the last one; nothing, and nothing was done,
        where one is not, or where their text has to be counted at once."""
        like = self._alike
        if like is None or (texts := like.texts_in(piece)) is None:
            return b""
        text = texts[0] if len(texts) == 1 else "".join(texts)
        size = len(text) if text.isascii() else utf8_length(text)
        if size > self._uncounted_bytes_max:
            return b""
        self._uncounted_bytes_max -= size
        self._vain = 0
        lane, is_json = like.place.lane, like.place.is_json
        self._lanes[lane].texts.append(text)
        restorer = self._restorer
        if restorer is None or restorer.passes(lane, text):
            return piece
        told = [restorer.feed(lane, one, is_json) for one in texts]
        return piece if told == texts else like.saying(piece, told)

    def count(self) -> None:
        """Take account of what came since the last time. Raises UpstreamFailed."""
        for path, lane in self._lanes.items():
            if lane.counted < len(lane.texts):
                fresh = "".join(lane.texts[lane.counted :])
                lane.counted = len(lane.texts)
                self._chars += len(fresh)
                if self.overrun:
                    self.overrun.add(lane.choice, path[1], fresh)
        room = self._chars_max - self._chars
        self._uncounted_bytes_max = min(room, self.overrun.room_bytes) if self.overrun else room
        if room < 0:
            raise UpstreamFailed(
                f"The upstream's answer has more than {self._chars_max} characters of text.",
                code="upstream_invalid_answer",
            )

    async def restore(
        self, chunk: dict[str, Any], ending: Container[int] | None = (), whole: bool = False
    ) -> bool:
        """Put values back into the chunk; whether that changed it. Lanes of choices in `ending`
        (None: of all) hold nothing back any more; a chunk may be the `whole` answer."""
        changed = False
        for place in answer_places(chunk, self._content_is_json):
            text = text_at(chunk, place.path)
            if place.choice is not None:
                self._keep(place.choice, place.lane, text)
            restorer = self._restorer
            if restorer is None and self._watch is None:
                continue
            if whole and restorer is not None and self._watch is None:
                told = restorer.whole(text, place.is_json)
            elif whole:
                told = await self._whole(place.lane, text, place.is_json)
            else:
                self._last[place.lane] = (chunk, place)
                told = await self._feed(place.lane, text, place.is_json)
                if ending is None or place.choice in ending:
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

    async def plain(self, event: Event, data: str) -> bytes:
        """An event that is no JSON object is a text of its own."""
        told = await self._whole(_PLAIN, data, False)
        if told == data:
            return event.encode()
        return event.with_data(told.encode("utf-8", "replace")).encode()

    def drop(self) -> None:
        """What is held back may not be told."""
        if self._watch is not None:
            self._watch.drop()

    async def _whole(self, lane: Hashable, text: str, is_json: bool) -> str:
        if self._watch is not None:
            text = await self._watch.feed(lane, text, is_json) + await self._watch.flush(lane)
        return self._restorer.whole(text, is_json) if self._restorer else text

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
        kept = self._lanes.get(lane)
        if kept is None:
            kept = self._lanes[lane] = _Lane(choice)
        kept.texts.append(text)
        self.count()
