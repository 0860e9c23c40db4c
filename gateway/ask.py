"""The verb ask: what a request is going to cost at most, and the body that goes upstream. Pure.

The bound is real because what was weighed is what is sent: `weigh` sees the texts after they were
redacted, and the output cap that it reserves is the one that `outgoing` writes into the request.
docs/internals/bounds.md has the reasons.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from gateway.errors import ContextTooLong
from gateway.json_text import write
from gateway.openai.overrun import Cap
from gateway.openai.refusals import refuse, shown
from gateway.openai.request import Request
from gateway.openai.tokens import Count, chat_count, prediction_count, prompt_counts
from gateway.policy.policy import Endpoint, Model
from gateway.quota.limit import Amounts
from gateway.usage.entry import Price

_CHAT, _COMPLETIONS, _EMBEDDINGS = Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS
_PROMPT_FIELD: Final = {
    Endpoint.CHAT: "messages",
    Endpoint.COMPLETIONS: "prompt",
    Endpoint.EMBEDDINGS: "input",
}

_OPAQUE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_HEX_ID: Final = re.compile(r"(?=.*[a-f])[0-9a-f-]{24,64}")
_DIGITS_MAX: Final = 6
_ID_LENGTH_MAX: Final = 40
_SECRET_BEGINNINGS: Final = (
    "sk-",
    "sk_",
    "rk_",
    "pk_",
    "ghp_",
    "github_pat_",
    "akia",
    "aiza",
    "xox",
)


@dataclass(slots=True)
class Ask:
    """A request with its upper bounds, in tokens.

    `input_is_exact`: all of the input was counted, and nothing had to be estimated. `cap` limits
    the output of one answer; `output_tokens` is the sum over all that are made."""

    request: Request
    input_tokens: int
    input_is_exact: bool
    output_tokens: int
    cap: int

    @property
    def echoed_tokens(self) -> int:
        """What the texts of the answers repeat of the prompt (`echo`), which is not charged."""
        if self.request.endpoint != _COMPLETIONS or not self.request.body.get("echo"):
            return 0
        return self.input_tokens * self.request.choices


def weigh(request: Request, model: Model) -> Ask:
    """The request with its bounds.

    Counting takes up to a second for a body of a megabyte: a large one belongs into a thread.
    Raises BadRequest (a cap over the model's) and ContextTooLong. The latter only by what was
    counted with the model's own vocabulary: where there is none, the upstream knows better."""
    longest = input_tokens = 0
    is_exact = True
    for least, most in _counts(request, model):
        input_tokens += most
        if least > longest:
            longest = least
        if least != most:
            is_exact = False
    cap = _cap(request, model, longest)
    output_tokens = cap * request.prompts * request.choices
    if "prediction" in request.body:
        output_tokens += _predicted(request, model)
    return Ask(request, input_tokens, is_exact, output_tokens, cap)


def output_cap(ask: Ask, model: Model) -> Cap | None:
    """Where the answer's stream is cut, should the upstream not keep to its cap; embeddings have
    none. What is echoed is no output."""
    if ask.request.endpoint == _EMBEDDINGS:
        return None
    return Cap(
        choice=ask.cap + ask.echoed_tokens,
        total=ask.output_tokens,
        input_tokens=ask.input_tokens,
        tokenizer=str(model.tokenizer),
    )


def bound(ask: Ask, price: Price | None) -> Amounts:
    """The most that the request can use: what a reservation holds."""
    cost_nano = price.bound_nano(ask.input_tokens, ask.output_tokens) if price else 0
    return Amounts(1, ask.input_tokens, ask.output_tokens, cost_nano, concurrency=1)


def outgoing(ask: Ask, model: Model) -> bytes:
    """The body for the upstream: the upstream's name of the model, the cap, and usage asked for in
    a stream. All else as it came; the request's own body stays whole."""
    request = ask.request
    body: dict[str, Any] = {**request.body, "model": model.upstream_model}
    if request.endpoint != _EMBEDDINGS:
        body[request.cap_field or _default_cap_field(request)] = ask.cap
    if request.stream:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    return write(body)


def end_user_id(user: str, secret: bytes) -> str:
    """The end user as entries, counters and logs keep it: never a personal value.

    An opaque id is kept: at most 64 of `A-Z a-z 0-9 _ . : -`, so no e-mail address, name with a
    space, or text that is not ASCII. What looks like a phone, card, account or national number (7
    digits or more, and more digits than letters; UUIDs and other lower-case hex ids are let by) or
    is an IP address, or like an API key, is not opaque. Everything else becomes `user_` and 16 hex
    digits of its HMAC-SHA256: one user stays one user, and who is meant cannot be read or guessed
    without the secret. No user is ""."""
    kinds = (_is_number, _is_address, _is_secret)
    if not user or (_OPAQUE.fullmatch(user) and not any(is_kind(user) for is_kind in kinds)):
        return user
    digest = hmac.digest(secret, user.encode("utf-8", "surrogatepass"), "sha256")
    return f"user_{digest.hex()[:16]}"


def _is_number(user: str) -> bool:
    digits = sum(character.isdigit() for character in user)
    letters = sum(character.isalpha() for character in user)
    return digits > _DIGITS_MAX and digits > letters and not _HEX_ID.fullmatch(user)


def _is_secret(user: str) -> bool:
    """An API key looks opaque, too: it begins with its maker's letters, or is long."""
    is_long = len(user) > _ID_LENGTH_MAX and not _HEX_ID.fullmatch(user)
    return is_long or user.lower().startswith(_SECRET_BEGINNINGS)


def _is_address(user: str) -> bool:
    if "." not in user and ":" not in user:
        return False
    try:
        ip_address(user)
    except ValueError:
        return False
    return True


def _counts(request: Request, model: Model) -> tuple[Count, ...]:
    """One for each prompt."""
    body, tokenizer = request.body, str(model.tokenizer)
    if request.endpoint == _CHAT:
        return (chat_count(body, tokenizer, model.image_tokens, model.context),)
    if request.endpoint == _COMPLETIONS:
        return prompt_counts(body.get("prompt"), tokenizer, model.context, body.get("suffix"))
    return prompt_counts(body["input"], tokenizer, model.context)


def _predicted(request: Request, model: Model) -> int:
    """Tokens of a predicted output: those that are rejected are charged as output."""
    prediction = request.body.get("prediction")
    if not prediction or request.endpoint != _CHAT:
        return 0
    return prediction_count(prediction, model.tokenizer.value, model.context).most


def _default_cap_field(request: Request) -> str:
    """`max_completion_tokens`, but `max_tokens` where the API does not take it: in completions, and
    along with a predicted output."""
    is_chat = request.endpoint == _CHAT and not request.body.get("prediction")
    return "max_completion_tokens" if is_chat else "max_tokens"


def _cap(request: Request, model: Model, longest: int) -> int:
    """Output tokens of one answer; `longest` is the least size of the longest prompt."""
    if request.endpoint == _EMBEDDINGS:
        if longest > model.context:
            raise _too_long(request, model, longest, 0)
        return 0
    if request.cap is not None and request.cap > model.output_max:
        refuse(
            f"{request.cap_field} is too large: {shown(request.cap)}. This model supports at most "
            f"{model.output_max} completion tokens, whereas you provided {shown(request.cap)}.",
            request.cap_field or "",
        )
    if longest + (request.cap or 1) > model.context:
        raise _too_long(request, model, longest, request.cap or 0)
    if request.cap is not None:
        return request.cap
    return max(1, min(model.default_output, model.output_max, model.context - longest))


def _too_long(request: Request, model: Model, longest: int, cap: int) -> ContextTooLong:
    field = _PROMPT_FIELD[Endpoint(request.endpoint)]
    limit = f"This model's maximum context length is {model.context} tokens"
    if field != "messages":
        message = (
            f"{limit}, however you requested {longest + cap} tokens ({longest} in your prompt; "
            f"{cap} for the completion). Please reduce your prompt; or completion length."
        )
    elif cap:
        message = (
            f"{limit}. However, you requested {longest + cap} tokens ({longest} in the messages, "
            f"{cap} in the completion). Please reduce the length of the messages or completion."
        )
    else:
        message = (
            f"{limit}. However, your messages resulted in {longest} tokens. Please reduce the "
            "length of the messages."
        )
    return ContextTooLong(message, code="context_length_exceeded", param=field)
