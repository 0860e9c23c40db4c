"""Which vocabulary a model counts with, and what counts of a request."""

from __future__ import annotations

import pytest

from gateway.openai.tokens import chat_count
from gateway.simulator.options import Behaviour
from gateway.simulator.prompt import Ask, chat_tokens, tokenizer_of


@pytest.mark.parametrize(
    ("model", "tokenizer"),
    [
        ("gpt-4", "cl100k"),
        ("gpt-4-turbo", "cl100k"),
        ("gpt-3.5-turbo-instruct", "cl100k"),
        ("text-embedding-3-small", "cl100k"),
        ("gpt-4o", "o200k"),
        ("gpt-4.1-mini", "o200k"),
        ("gpt-5", "o200k"),
        ("echo", "o200k"),
    ],
)
def test_models_count_with_their_own_vocabulary(model: str, tokenizer: str) -> None:
    assert tokenizer_of(model) == tokenizer


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o"])
def test_a_prompt_never_costs_more_than_a_gateway_reserves(model: str) -> None:
    call = {"function": {"name": "look_up", "arguments": '{"query": "long \\"text\\""}'}}
    parameters = {"type": "object", "properties": {"query": {"type": "string"}}}
    tool = {"name": "look_up", "description": "Looks things up.", "parameters": parameters}
    body = {
        "messages": [
            {"role": "system", "content": "Be brief. 请简短。"},
            {"role": "user", "content": [{"type": "text", "text": "What"}, {"type": "text"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "found 🎉", "tool_call_id": "x"},
        ],
        "tools": [{"type": "function", "function": tool}],
    }
    reserved = chat_count(body, tokenizer_of(model), 0, 10**6).most
    assert 20 < chat_tokens(Ask(body, model, Behaviour())) <= reserved
