"""`/v1/models` and `/v1/models/{id}`: only what this key may use."""

from __future__ import annotations

from typing import Any

from starlette.types import Receive, Scope, Send

from gateway.edge.replies import send_json
from gateway.errors import NotAllowed
from gateway.keys.authenticate import authenticate
from gateway.keys.key import Key
from gateway.parts import Parts
from gateway.policy.match import model_not_found, visible_models
from gateway.policy.policy import Endpoint, Model


class Models:
    """GET the models of the key's project, or one of them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        state["endpoint"] = Endpoint.MODELS.value
        state["key"] = key = await self._key(scope)
        models = {model.name: model for model in visible_models(self._parts.policies.current, key)}
        name = scope.get("path_params", {}).get("model")
        if name is None:
            data = [_object(model) for model in models.values()]
            await send_json(send, 200, {"object": "list", "data": data})
        elif name in models:
            await send_json(send, 200, _object(models[name]))
        else:
            raise model_not_found(name)

    async def _key(self, scope: Scope) -> Key:
        """Nothing is reserved here, so the ledger is asked whether keys have changed."""
        parts = self._parts
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        parts.access.follow(await parts.ledger.generation())
        key = await authenticate(
            given[0].decode("latin-1") if given else None,
            parts.access,
            parts.pepper,
            parts.clock(),
        )
        if key.endpoints is not None and Endpoint.MODELS not in key.endpoints:
            raise NotAllowed(
                "This key's scopes do not include listing models.", code="endpoint_not_allowed"
            )
        return key


def _object(model: Model) -> dict[str, Any]:
    return {"id": model.name, "object": "model", "created": 0, "owned_by": model.upstream}
