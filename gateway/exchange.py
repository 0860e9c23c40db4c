"""The sentence: authenticate, match, redact, ask, admit, forward, answer, settle.

Read `_sentence` and you know the product. A refusal is an ApiError raised before it returns; what
happens later is a last event of the stream. Whatever happens, there is one entry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, TypeVar

from gateway.admission import check_room, identify, reserve
from gateway.answer import Answer
from gateway.ask import end_user_id, outgoing, output_cap, weigh
from gateway.call import Call
from gateway.cohort import abreast
from gateway.draft import Draft
from gateway.errors import BadRequest, LimitReached, Unavailable
from gateway.forward import Reply, forward
from gateway.guard import unless_open
from gateway.openai.request import Bounds, Request, parse_json, read_request
from gateway.parts import Parts
from gateway.policy.policy import Endpoint, OnClientLeft
from gateway.privacy.mint import Vault
from gateway.quota.admit import rate_headers, soft_headers
from gateway.read_ahead import goes_on, read_ahead
from gateway.redaction import redact_request
from gateway.settled import Settled

PATHS = {
    Endpoint.CHAT: "/chat/completions",
    Endpoint.COMPLETIONS: "/completions",
    Endpoint.EMBEDDINGS: "/embeddings",
}
LOOK_FIRST_BYTES = 4 * 1024
"""A larger request is refused before it is redacted and weighed, if no room is left at all: of a
smaller one these cost no more than the look does, which is a way to Redis and back; but with an
NER engine any text costs more."""
ASIDE_BYTES = 32 * 1024  # parsing and counting more than this would hold up other requests

_DRAIN = OnClientLeft.DRAIN
_bounds = lru_cache(maxsize=8)(Bounds)  # the settings', which are the same for all requests

T = TypeVar("T")


def exchange(call: Call, parts: Parts) -> AbstractAsyncContextManager[Answer]:
    """One governed request, from its key to its entry. Raises ApiError and ClientLeft."""
    return _Exchange(call, parts)


class _Exchange:
    """Not made of an asynchronous generator: the event loop is told of each of those, which with
    what contextlib does is some fifteen calls."""

    __slots__ = ("_answered", "_call", "_draft", "_parts", "_replying", "_settled")

    _answered: tuple[Request, Vault, Answer]

    def __init__(self, call: Call, parts: Parts) -> None:
        self._call, self._parts = call, parts
        self._draft = parts.traces.draft(call, parts.stopwatch)
        self._settled = Settled(self._draft, parts)
        self._replying: AbstractAsyncContextManager[Reply] | None = None

    async def __aenter__(self) -> Answer:
        self._settled.begin()
        try:
            return await self._sentence()
        except BaseException as error:
            await self._leave(error)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._leave(error)

    async def _sentence(self) -> Answer:
        call, parts, draft = self._call, self._parts, self._draft
        state, policy = parts.state, parts.policies.current
        _check_capacity(call, parts)
        await identify(draft, parts)
        _take_seat(draft, parts)
        await abreast(state)
        draft.did("authenticate")
        raw = await call.read_body()
        draft.mark()
        aside = partial(_aside, parts) if len(raw) > ASIDE_BYTES else None  # None: at once
        request = await aside(_read, raw, call, parts) if aside else _read(raw, call, parts)
        assert draft.key is not None
        rules = parts.matches.match(policy, draft.key, call.endpoint, request.model, call.now)
        draft.matched(rules)
        target, model = parts.resolve(unless_open(parts.circuits, rules)), rules.model
        draft.stream = request.stream
        if request.user:
            secret = parts.secret("end_user", rules.organization.name)
            draft.end_user = end_user_id(request.user, secret)
        if len(raw) > LOOK_FIRST_BYTES or rules.project.redaction.using.ner:
            await check_room(draft, parts)
        await abreast(state)
        draft.did("match")
        request, vault, watch = await redact_request(draft, request, rules, parts, aside)
        await abreast(state)
        draft.did("redact")
        asked = await aside(weigh, request, model) if aside else weigh(request, model)
        await abreast(state)
        ask, standings = await reserve(draft, asked, parts)
        draft.ask = ask
        await abreast(state)
        draft.did("admit")
        body = await aside(outgoing, ask, model) if aside else outgoing(ask, model)
        draft.sending()
        if rules.upstream.on_client_left is _DRAIN:
            call.keep_on()
        path, headers = PATHS[call.endpoint], parts.traces.passed_on(call)
        replying = forward(
            parts.upstream, target, path, body, headers, call.id, parts.patience, parts.circuits,
            rules.organization.name,
        )  # fmt: skip
        reply = await replying.__aenter__()
        self._replying = replying
        draft.upstream_code = str(reply.status)
        draft.answer = answer = Answer(
            reply,
            wants_usage=request.wants_usage,
            content_is_json=request.content_is_json,
            vault=vault,
            watch=watch,
            answer_bytes_max=parts.settings.answer_bytes_max,
            upstream_key=target.api_key,
            cap=output_cap(ask, model),
        )
        await answer.begin()
        await abreast(state)
        if answer.streams:
            draft.first_token()
        if standings:
            answer.headers.extend(rate_headers(standings, draft.now) + soft_headers(standings))
        self._answered = request, vault, answer
        return answer

    async def _leave(self, error: BaseException | None) -> None:
        """The reply is closed, then the exchange settled, whatever comes of either."""
        try:
            if self._replying is not None:
                tb = error.__traceback__ if error is not None else None
                kind = type(error) if error is not None else None
                await self._replying.__aexit__(kind, error, tb)
            if error is None:
                self._read_ahead()
        except BaseException as failure:
            await self._settled.end(failure)
            raise
        await self._settled.end(error)

    def _read_ahead(self) -> None:
        """What was answered will be asked about, if the chat goes on."""
        assert self._draft.rules is not None
        (request, vault, answer), profile = self._answered, self._draft.rules.project.redaction
        if answer.complete and goes_on(request, profile):
            self._parts.later(read_ahead(answer.said, vault, profile, self._parts))


def _check_capacity(call: Call, parts: Parts) -> None:
    """Refuse what could not be done, or not be written down."""
    if parts.state.inflight > parts.settings.requests_max:
        raise Unavailable(
            "The gateway has as many requests in work as it may have. Try again in a moment.",
            code="overloaded",
            retry_after_seconds=1,
        )
    if parts.journal.is_full():
        raise Unavailable(
            "Usage cannot be written at the moment, so nothing is admitted. Try again later.",
            code="journal_full",
            retry_after_seconds=5,
        )


def _take_seat(draft: Draft, parts: Parts) -> None:
    """Before the body is read: what a key sends slowly is held in memory, too."""
    assert draft.key is not None
    most = parts.settings.requests_per_key_max
    if not parts.state.seats.take(draft.key.id, most):
        raise LimitReached(
            f"This key has {most} requests in work, as many as this gateway takes of one key at "
            "once. Wait for some to end, or have GATEWAY_REQUESTS_PER_KEY_MAX raised.",
            code="rate_limit_exceeded",
            type="requests",
            retry_after_seconds=1,
        )
    draft.seat = draft.key.id


async def _aside(parts: Parts, work: Callable[..., T], *given: Any) -> T:
    """Do pure work beside the event loop."""
    return await asyncio.get_running_loop().run_in_executor(parts.workbench, work, *given)


def _read(raw: bytes, call: Call, parts: Parts) -> Request:
    if raw.count(b",") > parts.settings.json_values_max:
        raise BadRequest(
            f"The request's JSON has more than {parts.settings.json_values_max} commas. Send less "
            "at once, or have GATEWAY_JSON_VALUES_MAX raised."
        )
    bounds = _bounds(parts.settings.json_depth_max, parts.settings.choices_max)
    return read_request(parse_json(raw, bounds.depth_max), call.endpoint, call.engine, bounds)
