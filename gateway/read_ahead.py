"""An answer is looked at once it is told, so that the next turn of its chat has only its own new
text to wait for: that turn sends the answer again, and the detector remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from gateway.errors import Unavailable
from gateway.openai.places import Path, Place
from gateway.openai.request import Request
from gateway.openai.texts import free_texts
from gateway.parts import Parts
from gateway.policy.policy import Endpoint
from gateway.privacy.leads import see
from gateway.privacy.mint import Vault
from gateway.privacy.profile import Profile
from gateway.privacy.redact import find
from gateway.privacy.restore import Restorer


def goes_on(request: Request, profile: Profile) -> bool:
    """Whether another turn is likely, and looked at: what holds an answer already is a
    conversation. Those who ask once pay for no second look."""
    if not profile.rules or request.endpoint != Endpoint.CHAT:
        return False
    for message in request.body["messages"]:  # noqa: SIM110, a generator costs more than the loop
        if message.get("role") == "assistant":
            return True
    return False


async def read_ahead(
    said: Mapping[Path, str], vault: Vault, profile: Profile, parts: Parts
) -> None:
    """`said`: what the upstream wrote, by lane. A failure is left to the next turn, which tells."""
    most = parts.settings
    places = [
        place
        for lane, one in said.items()
        for place in _as_history(lane, _told(one, vault), most.redaction_texts_max + 1)
    ]
    seen = see([place.text for place in places], [place.lead for place in places])
    is_small = sum(map(len, seen.shown)) <= most.redaction_bytes_max
    if is_small and len(places) <= most.redaction_texts_max:
        with suppress(Unavailable):
            await find(seen, profile, parts.detector)


def _told(text: str, vault: Vault) -> str:
    restorer = Restorer(vault)
    return restorer.feed("", text) + restorer.flush("")


def _as_history(lane: Path, text: str, most: int) -> list[Place]:
    """The first `most` texts where the lane stands in a message of the next turn."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if lane[-1] == "arguments":
        call = {"type": "function", "function": {"arguments": text}}
        message = {"role": "assistant", "tool_calls": [call]}
    body = {"messages": [message]}
    return free_texts(Endpoint.CHAT, body, most)
