"""The step redact of an exchange: the texts of a request out of its body, redacted, and back in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from gateway.cohort import abreast
from gateway.draft import Draft
from gateway.errors import BadRequest, TooLarge
from gateway.openai.field_names import public_name
from gateway.openai.images import image_places
from gateway.openai.places import Place, lay_back
from gateway.openai.request import Request
from gateway.openai.texts import free_texts
from gateway.openai.tokens import utf8_length
from gateway.parts import Parts, State
from gateway.pictures import NO_PICTURES, Read, read_pictures, write_pictures
from gateway.policy.match import Rules
from gateway.policy.policy import Endpoint
from gateway.privacy.changes import Findings
from gateway.privacy.leads import Seen, see
from gateway.privacy.mint import Vault
from gateway.privacy.pictures import Reader
from gateway.privacy.profile import Images, Profile, Scope
from gateway.privacy.redact import (
    Aside,
    Detector,
    Redacted,
    Sight,
    find,
    in_place,
    nothing_found,
    replace,
)
from gateway.privacy.watch import Watch
from gateway.privacy.wording import wordings
from gateway.settings import Settings

# As members of their enums, each use is a look-up in a class.
_ALLOW, _OF_ORGANIZATION, _OF_CONVERSATION = Images.ALLOW, Scope.ORGANIZATION, Scope.CONVERSATION
_LOGGED_MAX = 200  # findings of one request
_CHARACTER_BYTES_MAX = 4


class Means(Protocol):
    """Of the parts of an exchange those that redaction needs."""

    @property
    def detector(self) -> Detector: ...
    @property
    def reader(self) -> Reader: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def state(self) -> State: ...
    def secret(self, purpose: str, *names: str) -> bytes: ...


Told = Callable[[Sequence[Place], Findings], None]
"""Is told what was done with the text at each place, also where that is to refuse it. The text at
the place of a picture is what was read in it."""


async def redact_request(
    draft: Draft, request: Request, rules: Rules, parts: Parts, aside: Aside | None
) -> tuple[Request, Vault, Watch | None]:
    """The request with its private values replaced, the vault that can put them back, and who looks
    at the answer, if the policy has rules for it. Raises what `redact_body` does."""
    profile = rules.project.redaction
    told = partial(_log, draft, parts) if parts.settings.redaction_debug == "on" else None
    if told is None and profile.lets_all_pass:
        return request, Vault(), None
    home = (rules.organization.name, rules.project.name)
    body, redacted, scope_key = await redact_body(request, profile, home, parts, aside, told)
    draft.redactions = dict(redacted.counts)
    vault = redacted.vault
    watch = None
    if profile.answer:
        stand_ins = wordings(vault.placeholders(), vault.synthetic())
        watch = Watch(profile, parts.watching, scope_key, stand_ins, redacted.reported)
    if body is not request.body:
        request = request.with_body(body)
    return request, vault, watch


async def redact_body(
    request: Request,
    profile: Profile,
    home: tuple[str, str],
    means: Means,
    aside: Aside | None = None,
    told: Told | None = None,
) -> tuple[Mapping[str, Any], Redacted, bytes]:
    """The body as it leaves, what was done with its texts, and the secret of the placeholders'
    scope. `home` are the names of the organization and the project.

    `aside` does what is long beside the event loop: before the detector looks and after that all
    at once; without one, that is done in place. Raises BadRequest (images_refused), TooLarge, and
    what `redact` and `read_pictures` do.
    """
    body, most = request.body, means.settings
    read = NO_PICTURES
    if profile.images is not _ALLOW:
        read = await _pictures(body, profile.images, means, aside or in_place)
    pictured = read.texts
    if aside is None:
        asked = _ask(request, profile, home, pictured, most)
    else:
        asked = await aside(partial(_ask, request, profile, home, pictured, most))
    scope_key = means.secret("redaction", *asked.scope)
    await abreast(means.state)
    sight = await find(asked.seen, profile, means.detector) if asked.is_looked_at else None
    await abreast(means.state)
    covered: list[Findings] = []
    teller = (
        partial(_tell, asked.places, len(pictured), covered, told) if told or pictured else None
    )
    if aside is None:
        body, redacted = _done(body, asked, sight, profile, scope_key, teller, len(pictured))
    else:
        body, redacted = await aside(
            partial(_done, body, asked, sight, profile, scope_key, teller, len(pictured))
        )
    if pictured:
        body = await write_pictures(body, read, covered[0], means.reader, aside or in_place)
    if profile.note and redacted.vault.placeholders() and request.endpoint == Endpoint.CHAT:
        body = {**body, "messages": [_told(profile.note), *body["messages"]]}
    return body, redacted, scope_key


async def _pictures(body: Mapping[str, Any], images: Images, means: Means, aside: Aside) -> Read:
    """What is read in the pictures of the body. Raises what `redact_body` does."""
    if images is Images.REFUSE and await aside(lambda: bool(image_places(body))):
        raise BadRequest(
            "The policy lets no pictures out, as nobody can read what stands in them. Take them "
            "out and send the request again.",
            code="images_refused",
            param="messages",
        )
    if images is Images.OCR:
        return await read_pictures(body, means.reader, means.settings, aside)
    return NO_PICTURES


def _tell(
    places: Sequence[Place],
    pictured: int,
    covered: list[Findings],
    told: Told | None,
    found: Findings,
) -> None:
    """Keep what was found in pictures, the last of the places, to be covered there."""
    covered.append(found[len(places) - pictured :])
    if told:
        told(places, found)


def _done(
    body: Mapping[str, Any],
    asked: _Asked,
    sight: Sight | None,
    profile: Profile,
    scope_key: bytes,
    told: Callable[[Findings], None] | None,
    pictured: int,
) -> tuple[Mapping[str, Any], Redacted]:
    """The body with what is put in place of what was found; the last `pictured` places stand in
    pictures, which are written by themselves."""
    if sight is None:
        return body, nothing_found(asked.seen.texts, told)
    made = replace(asked.seen, sight, profile, scope_key, told, pictured)
    if not made.counts:
        return body, made
    places, texts = asked.places, made.texts
    if pictured:
        places, texts = places[:-pictured], texts[:-pictured]
    return lay_back(body, places, texts), made


class _Asked(NamedTuple):
    """The places of the texts, those in pictures last, what a detector is shown of them if it
    `is_looked_at`, and what names the placeholders' scope."""

    places: Sequence[Place]
    seen: Seen
    is_looked_at: bool
    scope: Sequence[str]


def _ask(
    request: Request,
    profile: Profile,
    home: tuple[str, str],
    pictured: Sequence[Place],
    most: Settings,
) -> _Asked:
    """Raises TooLarge."""
    own = free_texts(request.endpoint, request.body, most.redaction_texts_max + 1)
    places = [*own, *pictured] if pictured else own
    texts, leads = [], []
    for place in places:
        texts.append(place.text)
        leads.append(place.lead)
    if profile.rules:
        _check_size(texts, most)
    scope: Sequence[str] = home
    if profile.scope is _OF_ORGANIZATION:
        scope = home[:1]
    elif profile.scope is _OF_CONVERSATION:
        scope = (*home, _began(request.body, own))
    if not profile.rules or not texts:
        return _Asked(places, Seen(texts, (), ()), False, scope)
    return _Asked(places, see(texts, leads), True, scope)


def _check_size(texts: Sequence[str], most: Settings) -> None:
    if len(texts) > most.redaction_texts_max:
        raise TooLarge(
            f"This request has more than {most.redaction_texts_max} texts, which are too many to "
            "be redacted. Send fewer at once, or have GATEWAY_REDACTION_TEXTS_MAX raised.",
            code="text_too_long",
        )
    if sum(map(len, texts)) * _CHARACTER_BYTES_MAX <= most.redaction_bytes_max:
        return  # so short that no byte has to be counted
    size = sum(map(utf8_length, texts))
    if size > most.redaction_bytes_max:
        raise TooLarge(
            f"The texts of this request are too long to be redacted: {size} bytes, and at most "
            f"{most.redaction_bytes_max} are scanned. Send less at once, or have "
            "GATEWAY_REDACTION_BYTES_MAX raised.",
            code="text_too_long",
        )


def _log(draft: Draft, parts: Parts, places: Sequence[Place], findings: Findings) -> None:
    """For those who write policies: where something was found and what was done. No text, and no
    name that a caller chose."""
    found = [
        {
            "place": public_name(place.path),
            "start": finding.span.start,
            "end": finding.span.end,
            "entity": finding.span.entity,
            "score": finding.span.score,
            "action": finding.action.value,
        }
        for place, of_text in zip(places, findings, strict=True)
        for finding in of_text
    ]
    parts.log.info(
        "redacted", request_id=draft.call.id, found=len(found), findings=found[:_LOGGED_MAX]
    )


def _began(body: Mapping[str, Any], places: Sequence[Place]) -> str:
    """A name of a conversation, by what a user said first in it: every turn sends that again.
    Other endpoints than chat have no turns."""
    for place in places:
        match place.path:
            case ("messages", int(at), "content", *_) if body["messages"][at]["role"] == "user":
                return hashlib.sha256(place.text.encode("utf-8", "surrogatepass")).hexdigest()
    return hashlib.sha256(b"").hexdigest()


def _told(note: str) -> dict[str, str]:
    return {"role": "system", "content": note}
