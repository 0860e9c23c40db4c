"""The entry in the making: what is known of one exchange so far, and what it comes to."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Sequence

from gateway.answer import Answer
from gateway.ask import Ask
from gateway.call import Call
from gateway.errors import ApiError, ClientLeft, TextBlocked, UpstreamFailed, UpstreamTooSlow
from gateway.keys.key import Key
from gateway.openai.tokens import (
    BYTES,
    EXACT_BYTES_MAX,
    LONGEST_TOKEN_BYTES,
    count,
    least_tokens,
    utf8_length,
)
from gateway.openai.usage import Told
from gateway.policy.match import Rules
from gateway.quota.ledger import Reservation
from gateway.quota.limit import Amounts
from gateway.usage.entry import NO_TOKENS, Entry, Outcome, Source, Tokens

CLIENT_CLOSED_REQUEST = 499  # nginx's status for a caller that left; never sent
FEW_BYTES = 256  # of text, for which any number of tokens is believed

# As members of their enums, each use is a look-up in a class.
_OK, _ABANDONED = Outcome.OK, Outcome.ABANDONED
_PROVIDER, _ESTIMATED, _NONE = Source.PROVIDER, Source.ESTIMATED, Source.NONE
_BOUND = Source.ABANDONED

Ending = tuple[Outcome, int, str]
"""Outcome, status and code."""


class Draft:
    """Facts are set as they become known; `entry` can be asked for at any moment."""

    def __init__(self, call: Call, stopwatch: Callable[[], float]) -> None:
        self.call = call
        self.now = call.now  # unix seconds; what the entry is booked at
        self.generation = -1  # of keys and grants, as they were read for this request
        self.is_reserved = False  # the reservation is the ledger's, and not only our own
        self.model = ""
        self.key: Key | None = None
        self.seat = ""  # whose requests in work this one is counted among
        self.rules: Rules | None = None
        self.end_user = ""
        self.stream = False
        self.ask: Ask | None = None
        self.reservation: Reservation | None = None
        self.redactions: dict[str, int] = {}
        self.sent_at: float | None = None
        self.upstream_code = "error"
        self.answer: Answer | None = None
        self.first_token_ms: int | None = None
        self.stage_seconds: dict[str, float] = {}
        self._stopwatch = stopwatch
        self._began = self._mark = stopwatch()

    def matched(self, rules: Rules) -> None:
        """The model is one of the policy's own: what a caller writes there is not kept before."""
        self.rules, self.model = rules, rules.model.name

    def did(self, stage: str) -> None:
        """The time since the last mark was spent on `stage`."""
        now = self._stopwatch()
        spent, seconds = self.stage_seconds, now - self._mark
        spent[stage] = spent[stage] + seconds if stage in spent else seconds
        self._mark = now

    def mark(self) -> None:
        """What follows is timed from here: the wait before was not ours."""
        self._mark = self._stopwatch()

    def elapsed_ms(self) -> int:
        return round((self._stopwatch() - self._began) * 1000)

    def sending(self) -> None:
        """From here on the upstream may work, and charge, for this request."""
        self.sent_at = self._stopwatch()

    def upstream_seconds(self) -> float | None:
        """Since it was asked; None where it was not."""
        return None if self.sent_at is None else self._stopwatch() - self.sent_at

    def first_token(self) -> None:
        if self.first_token_ms is None:
            self.first_token_ms = self.elapsed_ms()

    def bound_entry(self, bound: Amounts) -> Entry:
        """What is booked should this process die: the most that the request can have used."""
        tokens = Tokens(bound.input_tokens, 0, bound.output_tokens)
        ending = _ABANDONED, 0, ""
        return self._entry(ending, tokens, _BOUND, bound.cost_nano, requests=1)

    def entry(self, error: BaseException | None) -> Entry:
        """What is booked now that the exchange is over, with `error` or well."""
        tokens, source = self._used(error)
        price = self.rules.price if self.rules else None
        cost_nano = price.cost_nano(tokens) if price else 0
        requests = 0 if source is _NONE else 1
        return self._entry(self._ending(error), tokens, source, cost_nano, requests)

    def _entry(
        self, ending: Ending, tokens: Tokens, source: Source, cost_nano: int, requests: int
    ) -> Entry:
        key, rules, answer = self.key, self.rules, self.answer
        outcome, status, code = ending
        redactions = self.redactions  # of the request, by `ENTITY:action`
        if answer and (watched := answer.watched):  # by `ENTITY:action:answer`
            redactions = redactions | {f"{name}:answer": count for name, count in watched.items()}
        return Entry(  # by place, as names cost as much again
            self.call.id,
            self.now,
            key.organization if key else "",
            key.project if key else "",
            key.id if key else "",
            self.end_user,
            self.model,
            answer.served_model if answer else "",
            rules.upstream.name if rules else "",
            str(self.call.endpoint),
            self.stream,
            status,
            outcome,
            code,
            requests,
            tokens,
            source,
            cost_nano,
            rules.organization.currency if rules else "",
            self.elapsed_ms(),
            self.first_token_ms,
            redactions,
            rules.digest if rules else "",
        )

    def _ending(self, error: BaseException | None) -> Ending:
        """Its outcome, its status and its code."""
        answer = self.answer
        if error is None and answer and answer.complete and answer.started:  # mostly it is so
            is_ok = answer.status < 400
            code = "cut_at_cap" if answer.cut else ""
            return _OK if is_ok else Outcome.UPSTREAM_ERROR, answer.status, code
        return self._outcome(error), self._status(error), self._code(error)

    def _left(self, error: BaseException | None) -> bool:
        return isinstance(error, ClientLeft) or (
            isinstance(error, CancelledError) and self.call.caller_left()
        )

    def _outcome(self, error: BaseException | None) -> Outcome:
        answer = self.answer
        if answer and answer.complete and (error is None or self._left(error)):
            return Outcome.OK if answer.status < 400 else Outcome.UPSTREAM_ERROR
        if self._left(error):
            return Outcome.CLIENT_LEFT
        if isinstance(error, UpstreamTooSlow):
            return Outcome.TIMEOUT
        if (
            error is None
            or isinstance(error, UpstreamFailed)
            or (isinstance(error, ApiError) and (error.code or "").startswith("upstream_"))
        ):
            return Outcome.UPSTREAM_ERROR
        if isinstance(error, TextBlocked):
            return Outcome.REFUSED
        if isinstance(error, ApiError) and self.sent_at is None and error.status != 500:
            return Outcome.REFUSED
        return Outcome.FAILED

    def _status(self, error: BaseException | None) -> int:
        if self.answer and self.answer.started:
            return self.answer.status
        if self._left(error):
            return CLIENT_CLOSED_REQUEST
        if isinstance(error, ApiError):
            return error.status
        return 503 if isinstance(error, CancelledError) else 500

    def _code(self, error: BaseException | None) -> str:
        if isinstance(error, ApiError):
            return error.code or ""
        if isinstance(error, CancelledError):
            return "" if self._left(error) else "draining"
        if error is None and self.answer and self.answer.cut:
            return "cut_at_cap"
        return "" if error is None or isinstance(error, ClientLeft) else "internal_error"

    def _used(self, error: BaseException | None) -> tuple[Tokens, Source]:
        """Tokens by kind, and how we know: told by the upstream, counted, or a part estimated.

        A request that was refused, or that never got an answer because no connection could be
        made, used nothing. One that was sent and given up on (caller gone, time-out) used its
        prompt at least."""
        ask, answer = self.ask, self.answer
        if ask is None or self.sent_at is None:
            return NO_TOKENS, _NONE
        if answer is None or not answer.replied:
            given_up = self._left(error) or isinstance(error, CancelledError) or _waited(error)
            if not given_up:
                return NO_TOKENS, _NONE
            return Tokens(ask.input_tokens), _ESTIMATED
        told, texts = answer.told, answer.output_text
        if answer.status >= 400 and told is None:
            return NO_TOKENS, _NONE
        assert self.rules is not None
        tokenizer = str(self.rules.model.tokenizer)
        later = texts
        if told:
            untold = answer.untold_text
            later = [untold] if untold else []
        counted = _counted(later, tokenizer, ask) if later else 0
        is_whole = (answer.complete or answer.status >= 400) and not answer.cut
        if told and _is_believable(told.output + counted + ask.echoed_tokens, texts, tokenizer):
            tokens = _told(told, counted)
            if told.input and not counted:
                return tokens, _PROVIDER if is_whole else _ESTIMATED
        else:
            later, told_output = texts, told.output if told else 0
            output = max(_counted(texts, tokenizer, ask), told_output)
            tokens = Tokens(input=told.input if told else 0, output=output)
        is_exact = tokens.input > 0 or ask.input_is_exact
        is_exact &= sum(map(utf8_length, later)) <= EXACT_BYTES_MAX
        tokens = tokens if tokens.input else tokens._replace(input=ask.input_tokens)
        return tokens, Source.COUNTED if is_whole and is_exact else _ESTIMATED


def _told(told: Told, more_output: int) -> Tokens:
    return Tokens(
        told.input,
        told.cached_input,
        told.output + more_output,
        told.reasoning,
        told.audio_input,
        told.audio_output,
    )


def _counted(texts: Sequence[str], tokenizer: str, ask: Ask) -> int:
    """Tokens of what the upstream wrote, each text by itself, without what it echoed.

    Where only bytes are known, which can be many times the tokens, no more than the cap that was
    sent, unless there are certainly more."""
    tokens = sum(count(text, tokenizer) for text in texts)
    if tokenizer == BYTES or sum(map(utf8_length, texts)) > EXACT_BYTES_MAX:
        least = sum(utf8_length(text) // LONGEST_TOKEN_BYTES for text in texts)
        tokens = max(min(tokens, ask.output_tokens + ask.echoed_tokens), least)
    return max(tokens - ask.echoed_tokens, 0)


def _is_believable(output: int, texts: Sequence[str], tokenizer: str) -> bool:
    """Not if the text that came is certainly more than four times as many tokens. It is counted
    only where it has more than eight bytes a token: English has four to five."""
    size = sum(map(utf8_length, texts))
    if not output or size <= FEW_BYTES + 8 * output:
        return bool(output or not size)
    return sum(least_tokens(text, tokenizer) for text in texts) <= 4 * output


def _waited(error: BaseException | None) -> bool:
    """Whether the upstream had the request, and then took too long."""
    return isinstance(error, UpstreamTooSlow) and error.code == "upstream_timeout"
