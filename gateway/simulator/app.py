"""The simulated upstream as an ASGI app: OpenAI's endpoints, and what it received and served.

POST /v1/chat/completions                  GET /v1/models
POST /v1/completions                       GET /v1/models/{id}
POST /v1/engines/{engine}/completions      GET /simulator/received?last=N
POST /v1/embeddings                        GET /simulator/served
"""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import ApiError, BadRequest, MethodNotAllowed, NotFound, Unauthenticated
from gateway.simulator import faults, generation
from gateway.simulator.embeddings import embeddings
from gateway.simulator.generation import Generation, Stamp
from gateway.simulator.options import FIELD, Options, behaviour_of
from gateway.simulator.play import Listener, Play
from gateway.simulator.prompt import Ask
from gateway.simulator.usage import Counts, figures

Log = Callable[[dict[str, Any]], None]

MODELS = (
    "echo",
    "gpt-5-mini",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-3.5-turbo-instruct",
    "davinci-codex",
    "text-embedding-3-small",
    "text-embedding-3-large",
)
"""What /v1/models lists when the options name no models."""

ACCOUNT_HEADERS = (
    ("openai-organization", "simulated-account"),
    ("openai-processing-ms", "7"),
    ("openai-version", "2020-10-01"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-remaining-requests", "9999"),
)
"""What a real upstream says about the account behind a gateway: no business of its callers."""

_MASKED = ("authorization", "api-key")


@dataclass(slots=True)
class Served:
    """What was served since the start; tokens of broken and abandoned answers are in it as far as
    they were sent."""

    requests: int = 0
    refused: int = 0
    client_left: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Simulator:
    def __init__(self, options: Options, log: Log | None, now: Callable[[], float]) -> None:
        self.options = options
        self.log = log
        self.now = now
        self.served = Served()
        self.received: deque[dict[str, Any]] = deque(maxlen=options.received_max)

    async def chat(self, request: Request) -> ASGIApp:
        return await self._generate(request, generation.chat)

    async def legacy(self, request: Request) -> ASGIApp:
        return await self._generate(request, generation.legacy)

    async def embeddings(self, request: Request) -> ASGIApp:
        ask = await self._received(request)
        answer, tokens = embeddings(ask)
        script = faults.json_script(answer, 0, ask.behaviour)
        return self._play(request, ask, script, tokens)

    async def models(self, request: Request) -> Response:
        self._authenticate(request)
        data = [self._model(name) for name in self._models()]
        return JSONResponse({"object": "list", "data": data}, headers=dict(ACCOUNT_HEADERS))

    async def model(self, request: Request) -> Response:
        self._authenticate(request)
        name = request.path_params["model"]
        if name not in self._models():
            raise _unknown_model(name)
        return JSONResponse(self._model(name), headers=dict(ACCOUNT_HEADERS))

    async def show_received(self, request: Request) -> Response:
        text = request.query_params.get("last", "100")
        last = int(text) if text.isdecimal() else 100
        kept = list(self.received)
        return JSONResponse({"received": kept[max(0, len(kept) - last) :]})

    async def show_served(self, request: Request) -> Response:
        return JSONResponse(asdict(self.served))

    async def _generate(
        self, request: Request, generate: Callable[[Ask, Stamp], Generation]
    ) -> ASGIApp:
        ask = await self._received(request)
        made = generate(ask, Stamp(secrets.token_hex(12), int(self.now())))
        if made.events is None:
            script = faults.json_script(made.body, made.counts.completion, ask.behaviour)
        else:
            script = faults.stream_script(made.events, ask.behaviour)
        return self._play(request, ask, script, made.counts.prompt)

    async def _received(self, request: Request) -> Ask:
        """What is asked, noted before anything can be wrong with it."""
        body = _parsed(await request.body())
        model = request.path_params.get("engine")
        if model is None and isinstance(body, dict):
            model = body.get("model")
        self.served.requests += 1
        note = {
            "event": "received",
            "time": self.now(),
            "path": request.url.path,
            "model": model,
            "headers": _shown_headers(request),
            "body": body,
        }
        self.received.append(note)
        self._note(note)
        self._authenticate(request)
        if not isinstance(body, dict):
            raise BadRequest("the body must be a JSON object")
        if not isinstance(model, str) or not model:
            raise BadRequest("you must provide a model parameter", param="model")
        if self.options.models is not None and model not in self.options.models:
            raise _unknown_model(model)
        return Ask(body, model, behaviour_of(self.options.behaviour, body.get(FIELD)))

    def _play(
        self, request: Request, ask: Ask, script: faults.Script, prompt_tokens: int
    ) -> ASGIApp:
        behaviour = ask.behaviour
        path = request.url.path
        sent = 0

        def generated(tokens: int) -> None:
            nonlocal sent
            sent += tokens
            self.served.completion_tokens += tokens

        def left() -> None:
            self.served.client_left += 1
            note = {"event": "client_left", "time": self.now(), "path": path}
            self._note({**note, "completion_tokens": sent})

        listener = Listener(generated, left)
        shown: faults.Script | None = script
        charged = prompt_tokens
        if behaviour.error is not None and self._fails(request, ask):
            self.served.refused += 1
            charged = prompt_tokens if behaviour.error_charges else 0
            told = figures(Counts(charged, 0, 0, 0)) if charged else None
            shown = faults.error_script(behaviour, behaviour.error, told)
        elif behaviour.hang:
            shown, charged = None, 0
        self.served.prompt_tokens += charged
        headers = (("x-request-id", f"req_{secrets.token_hex(12)}"), *ACCOUNT_HEADERS)
        play = Play(
            shown, listener, behaviour.delay_seconds, behaviour.chunk_delay_seconds, headers
        )
        request_id = request.headers.get("x-request-id")
        if request_id is None:
            return play
        note = {
            "event": "served",
            "path": path,
            "request_id": request_id,
            "model": ask.model,
            "prompt_tokens": charged,
        }

        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await play(scope, receive, send)
            finally:
                self._note({**note, "time": self.now(), "completion_tokens": sent})

        return noted

    def _fails(self, request: Request, ask: Ask) -> bool:
        """Whether this attempt is among the first `error_times` of its request: of those that have
        the same id and the same body, as far back as requests are kept."""
        most = ask.behaviour.error_times
        if most is None:
            return True
        id = request.headers.get("x-request-id")
        came = sum(
            note["headers"].get("x-request-id") == id and note["body"] == ask.body
            for note in self.received
        )
        return bool(came <= most)

    def _authenticate(self, request: Request) -> None:
        key = self.options.api_key
        if key is None:
            return
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(given.encode(), key.encode()):
            message = f"Incorrect API key provided: …{given[-4:]}."
            raise Unauthenticated(message, code="invalid_api_key")

    def _models(self) -> tuple[str, ...]:
        return MODELS if self.options.models is None else self.options.models

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "simulator"}

    def _note(self, line: dict[str, Any]) -> None:
        if self.log is not None:
            self.log(line)


def _parsed(raw: bytes) -> Any:
    """The JSON value; anything that is none, or that no JSON answer could repeat, as text."""
    try:
        value = json.loads(raw)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")
    return value


def _shown_headers(request: Request) -> dict[str, str]:
    """The request's headers; of a key only its last four characters."""
    return {
        name: f"…{value[-4:]}" if name in _MASKED else value
        for name, value in request.headers.items()
    }


def _unknown_model(name: str) -> NotFound:
    message = f"The model `{name}` does not exist or you do not have access to it."
    return NotFound(message, type="invalid_request_error", code="model_not_found")


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), error.status, headers=dict(ACCOUNT_HEADERS))


async def _refuse_url(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = MethodNotAllowed if error.status_code == 405 else NotFound
    refusal = kind(f"Invalid URL ({request.method} {request.url.path})")
    return JSONResponse(refusal.body(), error.status_code)


def build_simulator(
    options: Options, log: Log | None = None, now: Callable[[], float] = time.time
) -> Starlette:
    """An OpenAI-shaped upstream. `log` is called with one dict for every request as it was
    received, for every client that left before its answer was complete, and for every answer to a
    request with an id, when it is over: what is charged for it."""
    simulator = _Simulator(options, log, now)
    routes = [
        Route("/v1/chat/completions", simulator.chat, methods=["POST"]),
        Route("/v1/completions", simulator.legacy, methods=["POST"]),
        Route("/v1/engines/{engine}/completions", simulator.legacy, methods=["POST"]),
        Route("/v1/embeddings", simulator.embeddings, methods=["POST"]),
        Route("/v1/engines/{engine}/embeddings", simulator.embeddings, methods=["POST"]),
        Route("/v1/models", simulator.models, methods=["GET"]),
        Route("/v1/models/{model:path}", simulator.model, methods=["GET"]),
        Route("/simulator/received", simulator.show_received, methods=["GET"]),
        Route("/simulator/served", simulator.show_served, methods=["GET"]),
    ]
    handlers = {ApiError: _refuse, HTTPException: _refuse_url}
    return Starlette(routes=routes, exception_handlers=handlers)
