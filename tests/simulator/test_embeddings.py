"""Embeddings: the same for the same text, in the shape that was asked for."""

from __future__ import annotations

import base64
import math
from array import array

import pytest

from gateway.errors import BadRequest
from gateway.simulator.embeddings import embeddings
from gateway.simulator.options import Behaviour
from gateway.simulator.prompt import Ask

SMALL = "text-embedding-3-small"


def asked(model: str = SMALL, **body: object) -> Ask:
    return Ask(body, model, Behaviour())


def vectors(model: str = SMALL, **body: object) -> list[list[float]]:
    return [item["embedding"] for item in embeddings(asked(model, **body))[0]["data"]]


def test_a_vector_depends_on_its_text_alone() -> None:
    first, second, again = vectors(input=["one", "two", "one"])
    assert first == again
    assert first != second


def test_a_vector_has_length_one() -> None:
    (vector,) = vectors(input="one")
    assert math.isclose(sum(value * value for value in vector), 1, rel_tol=1e-5)


@pytest.mark.parametrize(
    ("model", "asked", "dimensions"),
    [(SMALL, None, 1536), ("text-embedding-3-large", None, 3072), (SMALL, 256, 256)],
)
def test_dimensions_are_the_models_or_the_requests(
    model: str, asked: int | None, dimensions: int
) -> None:
    (vector,) = vectors(model, input="one", dimensions=asked)
    assert len(vector) == dimensions


def test_base64_holds_the_same_numbers() -> None:
    answer, _ = embeddings(asked(input="one", encoding_format="base64"))
    decoded = array("f", base64.b64decode(answer["data"][0]["embedding"]))
    assert decoded.tolist() == vectors(input="one")[0]


def test_the_prompt_is_counted() -> None:
    answer, tokens = embeddings(asked(input=["one two", "three"]))
    assert answer["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert tokens == 3
    assert embeddings(asked(input=[[1, 2], [3]]))[1] == 3


@pytest.mark.parametrize(
    "body",
    [{}, {"input": None}, {"input": "a", "dimensions": -1}, {"input": "a", "encoding_format": "x"}],
)
def test_a_wrong_request_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        embeddings(Ask(body, SMALL, Behaviour()))
