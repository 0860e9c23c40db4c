"""What a caller can be told.

ApiError                  anything that becomes `{"error": {message, type, param, code}}`
├── BadRequest        400 not JSON, a field of the wrong type or out of range
├── ContextTooLong    400 prompt plus output do not fit into the model's context
├── TextBlocked       400 the policy blocks a text of this kind
├── Unauthenticated   401 no key, or one that is wrong, revoked or expired
├── NotAllowed        403 a model, endpoint or project that this key may not use
├── NotFound          404 an unknown model or URL
├── MethodNotAllowed  405
├── TooSlow           408 the body did not arrive in time
├── TooLarge          413 the body is over the limit
├── HeadTooLarge      431 the head is over the limit
├── LimitReached      429 a rate or a budget has no room
├── Failed            500 our own fault
├── UpstreamFailed    502 the upstream is unreachable, or its answer is none
├── Unavailable       503 a store, the detector or the upstream's account is not usable
└── UpstreamTooSlow   504 the upstream did not answer in time
ClientLeft                the caller is gone: there is nobody to tell
Unwritten                 the process ends, and some entries are in its log only

Source of the shape: the OpenAI API reference, "Error codes", as its SDKs act on it. Every `code` is
listed in CODES; a code is stable, a message is for people and may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

CODES: dict[str, str] = {
    "invalid_api_key": "The key is unknown, revoked or expired.",
    "endpoint_not_allowed": "The key's scopes do not include this endpoint.",
    "project_not_found": "The key's project is not in the policies any more.",
    "model_not_found": "The model does not exist, or this key may not use it.",
    "model_unpriced": "A limit on money holds, and the model has no price.",
    "context_length_exceeded": "Prompt and output together do not fit into the model's context.",
    "rate_limit_exceeded": "A limit per second, minute or hour, or of concurrency, has no room.",
    "insufficient_quota": "A budget of a day or longer, or a prepaid one, is used up.",
    "pii_blocked": "The text holds something that the policy does not let out.",
    "text_too_long": "The texts are longer, or more, than are looked at for private values.",
    "images_refused": "The policy lets no pictures out, and the request has one.",
    "images_unreadable": "A picture cannot be read, so nobody knows what stands in it.",
    "answer_blocked": "The model wrote something that the policy does not let through.",
    "redaction_failed": "The detector failed or took too long, so the text was not sent.",
    "ledger_unavailable": "The ledger cannot be reached, so nothing can be admitted.",
    "database_unavailable": "The database cannot be reached.",
    "journal_full": "Usage cannot be written and the buffer is full.",
    "overloaded": "The gateway has as many requests in work as it may have.",
    "draining": "The gateway is shutting down.",
    "upstream_unreachable": "No connection to the upstream could be made, or it broke.",
    "upstream_timeout": "The upstream did not answer, or did not go on, in time.",
    "upstream_invalid_answer": "The upstream's answer was not what the API promises.",
    "upstream_key_refused": "The upstream refused the gateway's own key (401 or 403).",
    "upstream_rate_limited": "The upstream limits the gateway's own account (429).",
    "upstream_circuit_open": "The upstream failed too often in a row, and is not asked for now.",
    "upstream_key_missing": "The environment variable of the upstream's key is not set.",
    "internal_error": "The gateway failed; the request id finds it in its log.",
}


class ApiError(Exception):
    """An answer to the caller instead of a completion.

    `retry_after_seconds` is when a retry may succeed, or None where waiting does not help or
    nobody knows; `retry` False tells SDKs not to try again by themselves.
    """

    status: ClassVar[int] = 500
    type: str = "server_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type: str | None = None,
        retry_after_seconds: float | None = None,
        retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.type = type or self.type
        self.retry_after_seconds = retry_after_seconds
        self.retry = retry

    def body(self) -> dict[str, dict[str, str | None]]:
        """The JSON body: all four keys, always."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


class BadRequest(ApiError):
    status = 400
    type = "invalid_request_error"


class ContextTooLong(BadRequest):
    """Raised with code `context_length_exceeded` and param `messages` or `prompt`."""


class TextBlocked(BadRequest):
    """Raised with code `pii_blocked`; the message names entities, never values. `counts` is what
    was found, by `ENTITY:action`."""

    counts: Mapping[str, int] = MappingProxyType({})


class Unauthenticated(ApiError):
    """`key` is the key of a caller that proved to have it, though it is good no more."""

    status = 401
    type = "invalid_request_error"
    key: Any = None


class NotAllowed(ApiError):
    status = 403
    type = "invalid_request_error"


class NotFound(ApiError):
    status = 404
    type = "invalid_request_error"


class MethodNotAllowed(ApiError):
    status = 405
    type = "invalid_request_error"


class TooSlow(ApiError):
    status = 408
    type = "invalid_request_error"


class TooLarge(ApiError):
    status = 413
    type = "invalid_request_error"


class HeadTooLarge(ApiError):
    status = 431
    type = "invalid_request_error"


class LimitReached(ApiError):
    """`type` is `requests`, `tokens` or `insufficient_quota`, as OpenAI's own 429s have it."""

    status = 429
    type = "insufficient_quota"


class Failed(ApiError):
    status = 500


class UpstreamFailed(ApiError):
    status = 502


class Unavailable(ApiError):
    status = 503


class UpstreamTooSlow(ApiError):
    status = 504


class Unwritten(Exception):
    """The journal could not write everything before the end; the log has what it could not."""


class ClientLeft(Exception):
    """The caller closed the connection, or does not take its answer."""
