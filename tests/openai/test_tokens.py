"""Tokens: the counts are the provider's, and the bounds are bounds."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.openai import tokens
from gateway.openai.tokens import Count, chat_count, count, load, prompt_counts, warm

VOCABULARIES = ("o200k", "cl100k")
CONTEXT = 128_000
IMAGE = 1_445

any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates included


def chat(*messages: Any, tokenizer: str = "o200k", **fields: Any) -> Count:
    return chat_count({"messages": list(messages), **fields}, tokenizer, IMAGE, CONTEXT)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


class TestCount:
    @pytest.mark.parametrize(
        ("text", "cl100k", "o200k"),
        [  # OpenAI cookbook, "How to count tokens with tiktoken", and tiktoken's own tests
            ("hello world", 2, 2),
            ("tiktoken is great!", 6, 6),
            ("antidisestablishmentarianism", 6, 6),
            ("2 + 2 = 4", 7, 7),
            ("お誕生日おめでとう", 9, 8),
            ("", 0, 0),
        ],
    )
    def test_is_what_tiktoken_counts(self, text: str, cl100k: int, o200k: int) -> None:
        assert count(text, "cl100k") == cl100k
        assert count(text, "o200k") == o200k

    @pytest.mark.parametrize("tokenizer", VOCABULARIES)
    def test_takes_special_tokens_as_ordinary_text(self, tokenizer: str) -> None:
        assert count("<|endoftext|>", tokenizer) == 7
        assert count("<|im_start|>system", tokenizer) > 5

    @settings(deadline=None)
    @given(any_text)
    def test_of_bytes_is_never_less_than_of_a_vocabulary(self, text: str) -> None:
        for tokenizer in VOCABULARIES:
            assert count(text, "bytes") >= count(text, tokenizer)

    @settings(deadline=None)
    @given(st.text())
    def test_of_bytes_is_the_length_in_utf8(self, text: str) -> None:
        assert count(text, "bytes") == len(text.encode())

    @pytest.mark.parametrize("tokenizer", VOCABULARIES)
    def test_takes_a_lone_surrogate_as_the_replacement_character(self, tokenizer: str) -> None:
        assert count("a\ud800b", tokenizer) == count("a\ufffdb", tokenizer)
        assert count("\ud800", "bytes") == 3

    @pytest.mark.parametrize("tokenizer", VOCABULARIES)
    @pytest.mark.parametrize(
        "piece", ["a", " ", "\n", "-", "😀", "👨‍👩‍👧", "<|endoftext|>", "1", "我"]
    )
    def test_copes_with_long_runs(self, tokenizer: str, piece: str) -> None:
        text = piece * (60_000 // len(piece.encode()))
        assert 0 < count(text, tokenizer) <= len(text.encode())

    def test_is_the_length_where_the_text_is_longer_than_what_is_counted_exactly(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tokens, "EXACT_BYTES_MAX", 10)
        assert count("hellohello", "o200k") == 2
        assert count("hellohello!", "o200k") == 11


class TestVocabularies:
    def test_are_loaded_once(self) -> None:
        warm(["o200k", "bytes", "o200k"])
        assert load("o200k") is load("o200k")
        warm()

    def test_are_loaded_without_the_package_around_them(self) -> None:
        load("cl100k")
        assert "bpe_openai" not in sys.modules

    def test_an_unknown_one_is_an_error(self) -> None:
        with pytest.raises(KeyError):
            warm(["p50k"])


JARGON = [
    ("system", None, "You are a helpful, pattern-following assistant that translates corporate "
     "jargon into plain English."),
    ("system", "example_user", "New synergies will help drive top-line growth."),
    ("system", "example_assistant", "Things working well together will increase revenue."),
    ("system", "example_user", "Let's circle back when we have more bandwidth to touch base on "
     "opportunities for increased leverage."),
    ("system", "example_assistant", "Let's talk later when we're less busy about how to do "
     "better."),
    ("user", None, "This late pivot means we don't have time to boil the ocean for the client "
     "deliverable."),
]  # fmt: skip
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {
                    "type": "string",
                    "description": "The city and state, e.g. San Francisco, CA",
                },
                "unit": {
                    "type": "string",
                    "description": "The unit of temperature to return",
                    "enum": ["celsius", "fahrenheit"],
                },
            },
            "required": ["location"],
        },
    },
}


class TestChat:
    @pytest.mark.parametrize(("tokenizer", "charged"), [("cl100k", 129), ("o200k", 124)])
    def test_of_text_is_exactly_what_the_provider_charges(
        self, tokenizer: str, charged: int
    ) -> None:
        """The cookbook's example; charged: usage.prompt_tokens of gpt-4 and gpt-4o."""
        messages = [
            {"role": role, "content": content, **({"name": name} if name else {})}
            for role, name, content in JARGON
        ]
        assert chat(*messages, tokenizer=tokenizer) == Count(charged, charged)

    @pytest.mark.parametrize(("tokenizer", "charged"), [("cl100k", 105), ("o200k", 101)])
    def test_of_tools_bounds_what_the_provider_charges(self, tokenizer: str, charged: int) -> None:
        """The cookbook's example; charged: usage.prompt_tokens of gpt-4 and gpt-4o."""
        messages = [
            {
                "role": "system",
                "content": "You are a helpful assistant that can answer to questions about the "
                "weather.",
            },
            user("What's the weather like in San Francisco?"),
        ]
        found = chat(*messages, tokenizer=tokenizer, tools=[WEATHER])
        assert found.least < charged <= found.most

    def test_of_parts_is_that_of_their_texts(self) -> None:
        parts = [{"type": "text", "text": "hello"}, {"type": "text", "text": " world"}]
        assert chat(user(parts)) == chat(user("hello world"))
        assert chat(user({"type": "text", "text": "hello world"})) == chat(user("hello world"))

    def test_an_image_is_bounded_by_the_model_and_not_by_its_bytes(self) -> None:
        url = "data:image/png;base64," + "A" * 100_000
        found = chat(user([{"type": "image_url", "image_url": {"url": url}}]))
        text = chat(user([]))
        assert found == Count(text.least, text.most + IMAGE)

    def test_audio_is_bounded_by_its_length_at_the_lowest_bit_rate(self) -> None:
        minute = "A" * (60 * 1_000 * 4 // 3)  # of 8 kbit/s, in base64
        part = {"type": "input_audio", "input_audio": {"data": minute, "format": "mp3"}}
        found = chat(user([part]))
        assert found.most - chat(user([])).most >= 600
        assert found.least == chat(user([])).least

    def test_a_file_is_bounded_by_its_bytes(self) -> None:
        part = {"type": "file", "file": {"file_data": "A" * 5_000, "filename": "a.pdf"}}
        assert chat(user([part])).most - chat(user([])).most == 5_000

    @pytest.mark.parametrize(
        "message",
        [
            user([{"type": "file", "file": {"file_id": "file-1"}}]),
            user([{"type": "video_url", "video_url": {"url": "http://a"}}]),
            user([7]),
            {"role": "assistant", "audio": {"id": "audio_1"}},
        ],
    )
    def test_what_has_no_known_size_may_fill_the_context(self, message: Any) -> None:
        found = chat(message)
        assert found.most == CONTEXT
        assert found.least < 10

    def test_is_never_more_than_the_context(self) -> None:
        assert chat(user("x " * 300_000), tokenizer="bytes") == Count(6, CONTEXT)

    @pytest.mark.parametrize(
        "fields",
        [
            {"tools": [WEATHER]},
            {"functions": [WEATHER["function"]]},
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
            {"documents": ["a field that only another server knows"]},
        ],
    )
    def test_every_field_that_may_become_text_is_in_the_bound(self, fields: Any) -> None:
        plain = chat(user("hi"))
        assert chat(user("hi"), **fields).most > plain.most + len(fields)
        assert chat(user("hi"), **fields).least == plain.least

    def test_fields_that_are_no_part_of_the_prompt_cost_nothing(self) -> None:
        free = {"metadata": {"a": "b"}, "user": "u", "stop": ["x"], "model": "m", "n": 2}
        assert chat(user("hi"), **free) == chat(user("hi"))

    def test_tool_calls_of_the_history_are_in_the_bound(self) -> None:
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}" * 50}}
        found = chat({"role": "assistant", "content": None, "tool_calls": [call]})
        assert found.most >= found.least + count("{}" * 50, "o200k")

    def test_other_texts_of_a_message_are_in_the_bound_but_not_certain(self) -> None:
        plain = chat({"role": "assistant", "content": "hi"})
        found = chat({"role": "assistant", "content": "hi", "reasoning": "hello world"})
        assert found == Count(plain.least, plain.most + 2)

    def test_counts_exactly_only_up_to_its_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tokens, "EXACT_BYTES_MAX", 30)
        found = chat(user("hello hello hello"), user("hello hello hello"))
        assert found.least < found.most
        assert found.most >= chat(user("hello hello hello")).most + 17


class TestPrompts:
    @pytest.mark.parametrize(
        ("prompt", "counts"),
        [
            (None, [1]),
            ("hello world", [2]),
            (["hello world", "hello"], [2, 1]),
            ([1, 2, 3], [3]),
            ([[1, 2, 3], [4]], [3, 1]),
            ("", [0]),
        ],
    )
    def test_are_counted_one_by_one(self, prompt: Any, counts: list[int]) -> None:
        found = prompt_counts(prompt, "cl100k", CONTEXT)
        assert found == tuple(Count(each, each) for each in counts)

    def test_a_suffix_belongs_to_each(self) -> None:
        found = prompt_counts(["hello", "hello"], "cl100k", CONTEXT, suffix=" world")
        assert found == (Count(2, 2), Count(2, 2))

    def test_are_each_within_the_context(self) -> None:
        assert prompt_counts(["a" * 50, "b"], "bytes", 20) == (Count(0, 20), Count(0, 1))


def typescript(schema: dict[str, Any], indent: str = "") -> str:
    """A schema as OpenAI's models see it. Source: the renderer of openai/harmony."""
    kind = schema.get("type")
    if kind == "object":
        lines = [f"{indent}// {schema['description']}\n{{"] if "description" in schema else ["{"]
        for name, value in schema["properties"].items():
            if "description" in value:
                lines.append(f"{indent}// {value['description']}")
            default = f" // default: {value['default']}" if "default" in value else ""
            lines.append(f"{indent}{name}?: {typescript(value, indent + '    ')},{default}")
        return "\n".join([*lines, indent + "}"])
    if kind == "array":
        return typescript(schema["items"], indent) + "[]"
    return " | ".join(f'"{one}"' for one in schema["enum"]) if "enum" in schema else str(kind)


def namespace(tools: list[dict[str, Any]]) -> str:
    out = "# Tools\n\n## functions\n\nnamespace functions {\n\n"
    for tool in tools:
        out += "".join(f"// {line}\n" for line in tool["description"].split("\n"))
        out += f"type {tool['name']} = (_: {typescript(tool['parameters'])}) => any;\n\n"
    return out + "} // namespace functions"


words = st.text(max_size=30)
names = st.text("abcdefgh_", min_size=1, max_size=12)
described = st.fixed_dictionaries({}, optional={"description": words, "default": words})
leaves = st.one_of(
    described.map(lambda has: {"type": "number", **has}),
    st.lists(words, min_size=1, max_size=20).map(lambda enum: {"type": "string", "enum": enum}),
)


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(inner.map(lambda items: {"type": "array", "items": items}), objects(inner))


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(described, st.dictionaries(names, inner, max_size=4)).map(
        lambda pair: {"type": "object", **pair[0], "properties": pair[1]}
    )


functions = st.fixed_dictionaries(
    {"name": names, "description": words,
     "parameters": objects(st.recursive(leaves, composed, max_leaves=12))}
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(functions, min_size=1, max_size=3))
def test_the_bound_of_tools_holds_for_the_provider_s_rendering_and_for_indented_json(
    tools: list[dict[str, Any]],
) -> None:
    sent = [{"type": "function", "function": tool} for tool in tools]
    for tokenizer in VOCABULARIES:
        counter = tokens.Counter(tokenizer, CONTEXT)
        counter.rendered(sent)
        most = counter.taken().most
        assert count(namespace(tools), tokenizer) <= most
        assert count(json.dumps(sent, ensure_ascii=False, indent=4), tokenizer) <= most
