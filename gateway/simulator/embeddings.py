"""Embeddings that depend on nothing but the text: unit vectors out of its hash. Pure."""

from __future__ import annotations

import base64
import hashlib
import math
import random
from array import array
from typing import Any

from gateway.errors import BadRequest
from gateway.simulator.prompt import Ask, input_text, input_tokens, inputs_of
from gateway.simulator.replies import whole_number

DIMENSIONS = {"text-embedding-3-large": 3072}
DIMENSIONS_DEFAULT = 1536
DIMENSIONS_MAX = 8192


def vector(text: str, dimensions: int) -> array[float]:
    """A unit vector of 32-bit floats, the same for the same text."""
    dice = random.Random(hashlib.sha256(text.encode()).digest())
    values = [dice.uniform(-1, 1) for _ in range(dimensions)]
    length = math.sqrt(sum(value * value for value in values))
    return array("f", (value / length for value in values))


def embeddings(ask: Ask) -> tuple[dict[str, Any], int]:
    """The answer, and its prompt tokens. Raises BadRequest."""
    body, model = ask.body, ask.model
    inputs = inputs_of(body, "input")
    default = DIMENSIONS.get(model, DIMENSIONS_DEFAULT)
    dimensions = whole_number(body, "dimensions", default, DIMENSIONS_MAX) or default
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise BadRequest("'encoding_format' must be float or base64", param="encoding_format")
    data = []
    for index, value in enumerate(inputs):
        numbers = vector(input_text(value), dimensions)
        shown = (
            base64.b64encode(numbers.tobytes()).decode() if encoding == "base64" else list(numbers)
        )
        data.append({"object": "embedding", "index": index, "embedding": shown})
    tokens = sum(input_tokens(ask, value) for value in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}, tokens
