"""Ask: the bounds of a request hold for the body that leaves, and nothing else in it is changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ask import Ask, bound, end_user_id, outgoing, output_cap, weigh
from gateway.errors import ApiError, BadRequest, ContextTooLong
from gateway.openai.overrun import Cap
from gateway.openai.request import Bounds, parse_json, read_request
from gateway.openai.tokens import count
from gateway.policy.policy import Endpoint, Model, Tokenizer
from gateway.quota.limit import Amounts
from gateway.usage.entry import Price

SECRET = b"secret of the test"
HI = [{"role": "user", "content": "hi"}]
MODEL = Model(
    name="gpt",
    upstream="openai",
    upstream_model="gpt-2026",
    endpoints=frozenset(Endpoint),
    prices=(),
    context=1000,
    output_max=400,
    default_output=100,
    tokenizer=Tokenizer.O200K,
    image_tokens=85,
)
BYTES_MODEL = replace(MODEL, tokenizer=Tokenizer.BYTES)


def asked(endpoint: str, body: dict[str, Any], model: Model = MODEL) -> Ask:
    return weigh(read_request(body, endpoint, None, Bounds()), model)


def chat(model: Model = MODEL, **fields: Any) -> Ask:
    return asked("chat", {"model": "gpt", "messages": HI, **fields}, model)


def completion(model: Model = MODEL, **fields: Any) -> Ask:
    return asked("completions", {"model": "gpt", "prompt": "hi", **fields}, model)


def embedding(model: Model = MODEL, **fields: Any) -> Ask:
    return asked("embeddings", {"model": "gpt", "input": "hi", **fields}, model)


def sent(ask: Ask, model: Model = MODEL) -> Any:
    return json.loads(outgoing(ask, model))


def refusal(act: Callable[[], object]) -> ApiError:
    with pytest.raises(BadRequest) as raised:
        act()
    return raised.value


class TestBounds:
    def test_of_a_chat_are_its_prompt_and_its_cap(self) -> None:
        found = chat(max_tokens=7)
        assert (found.input_tokens, found.output_tokens, found.cap) == (8, 7, 7)

    def test_every_choice_may_use_the_whole_cap(self) -> None:
        assert chat(max_tokens=7, n=3).output_tokens == 21

    def test_every_prompt_makes_best_of_answers(self) -> None:
        found = completion(prompt=["hello", "hello world"], max_tokens=7, n=2, best_of=5)
        assert found.input_tokens == 3
        assert found.output_tokens == 2 * 5 * 7

    def test_echo_adds_text_but_no_tokens(self) -> None:
        assert completion(echo=True).output_tokens == completion().output_tokens

    def test_a_suffix_is_a_part_of_the_prompt(self) -> None:
        assert completion(suffix=" world").input_tokens == 2

    def test_of_an_embedding_are_its_inputs_and_no_output(self) -> None:
        found = embedding(input=["hello", [1, 2, 3]][:1])
        assert (found.input_tokens, found.output_tokens, found.cap) == (1, 0, 0)
        assert embedding(input=[[1, 2], [3, 4, 5]]).input_tokens == 5

    def test_rejected_predictions_are_charged_as_output(self) -> None:
        prediction = {"type": "content", "content": "hello world"}
        plain, found = chat(), chat(prediction=prediction)
        assert found.output_tokens >= plain.output_tokens + 2
        assert found.input_tokens > plain.input_tokens

    def test_the_cap_of_the_answer_is_that_of_the_request(self) -> None:
        assert output_cap(chat(max_tokens=7, n=3), MODEL) == Cap(7, 21, 8, "o200k")
        assert output_cap(embedding(), MODEL) is None

    def test_what_is_echoed_is_no_output_and_passes_no_cap(self) -> None:
        found = completion(prompt="hello world", max_tokens=7, echo=True, n=2)
        assert found.echoed_tokens == 2 * 2
        assert output_cap(found, MODEL) == Cap(7 + 4, 14, 2, "o200k")
        assert chat(echo=True).echoed_tokens == 0

    def test_are_amounts_of_every_measure(self) -> None:
        price = Price(input=2_000_000, cached_input=1_000_000, output=8_000_000, reasoning=0)
        found = chat(max_tokens=7)
        assert bound(found, price) == Amounts(1, 8, 7, 8 * 2 + 7 * 8, 1)
        assert bound(found, None) == Amounts(1, 8, 7, 0, 1)


class TestCap:
    def test_is_the_model_s_default_where_the_caller_gives_none(self) -> None:
        assert chat().cap == 100
        assert chat(model=replace(MODEL, default_output=500)).cap == 400

    def test_shrinks_to_what_the_context_has_left(self) -> None:
        messages = [{"role": "user", "content": "a " * 940}]
        found = chat(messages=messages)
        assert found.cap == 1000 - found.input_tokens < 100

    def test_leaves_room_for_one_token_at_least(self) -> None:
        prompt = [1] * 999
        assert completion(prompt=prompt).cap == 1
        assert refusal(lambda: completion(prompt=[*prompt, 1])).code == "context_length_exceeded"

    def test_does_not_shrink_by_what_is_only_estimated(self) -> None:
        messages = [{"role": "user", "content": "a " * 2000}]
        found = chat(model=BYTES_MODEL, messages=messages)
        assert (found.cap, found.input_tokens) == (100, 1000)

    @pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
    def test_over_the_model_s_is_refused_in_the_api_s_words(self, field: str) -> None:
        error = refusal(lambda: chat(**{field: 401}))
        assert error.message == (
            f"{field} is too large: 401. This model supports at most 400 completion tokens, "
            "whereas you provided 401."
        )
        assert (error.status, error.param, error.code) == (400, field, None)

    def test_of_absurd_length_is_refused_in_few_words(self) -> None:
        assert "a number of 4000 digits" in refusal(lambda: chat(max_tokens=10**3999)).message


class TestContext:
    LONG = "a " * 1200

    def test_of_messages_that_are_too_long(self) -> None:
        error = refusal(lambda: chat(messages=[{"role": "user", "content": self.LONG}]))
        tokens = count(self.LONG, "o200k") + 7
        assert isinstance(error, ContextTooLong)
        assert error.body()["error"] == {
            "message": "This model's maximum context length is 1000 tokens. However, your messages "
            f"resulted in {tokens} tokens. Please reduce the length of the messages.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }

    def test_of_messages_and_a_cap_that_do_not_fit_together(self) -> None:
        messages = [{"role": "user", "content": "a " * 800}]
        error = refusal(lambda: chat(messages=messages, max_tokens=300))
        tokens = count("a " * 800, "o200k") + 7
        assert error.message == (
            f"This model's maximum context length is 1000 tokens. However, you requested "
            f"{tokens + 300} tokens ({tokens} in the messages, 300 in the completion). Please "
            "reduce the length of the messages or completion."
        )

    def test_of_the_longest_of_many_prompts(self) -> None:
        error = refusal(lambda: completion(prompt=[[1], [1] * 990], max_tokens=20))
        assert error.message == (
            "This model's maximum context length is 1000 tokens, however you requested 1010 tokens "
            "(990 in your prompt; 20 for the completion). Please reduce your prompt; or "
            "completion length."
        )
        assert (error.code, error.param) == ("context_length_exceeded", "prompt")

    def test_of_an_input_for_an_embedding(self) -> None:
        assert embedding(input=[1] * 1000).input_tokens == 1000
        error = refusal(lambda: embedding(input=[[1], [1] * 1001]))
        assert (error.code, error.param) == ("context_length_exceeded", "input")
        assert "1001 in your prompt; 0 for the completion" in error.message

    def test_is_left_to_the_upstream_where_no_vocabulary_is_known(self) -> None:
        messages = [{"role": "user", "content": self.LONG}]
        assert chat(model=BYTES_MODEL, messages=messages, max_tokens=300).input_tokens == 1000
        assert embedding(model=BYTES_MODEL, input=self.LONG).input_tokens == 1000

    def test_is_left_to_the_upstream_where_only_an_estimate_is_too_long(self) -> None:
        image = {"type": "image_url", "image_url": {"url": "http://a/b.png"}}
        messages = [{"role": "user", "content": [image] * 20}]
        assert chat(messages=messages).input_tokens == 1000
        assert chat(tools=[{"x": "y " * 2000}]).input_tokens == 1000


class TestEndUser:
    @pytest.mark.parametrize(
        "user",
        [
            "",
            "u1",
            "user-12345",
            "cus_9s6XKzkNRiz8i3",
            "org:team.alice_7",
            "123456",
            "550e8400-e29b-41d4-a716-446655440000",
            "507f1f77bcf86cd799439011",
            "a" * 64,
        ],
    )
    def test_an_opaque_id_is_kept(self, user: str) -> None:
        assert end_user_id(user, SECRET) == user

    @pytest.mark.parametrize(
        "user",
        [
            "alice@example.com",
            "Alice Smith",
            "爱丽丝",
            "alicé",
            "+4915112345678",
            "13800138000",
            "u13800138000",
            "555-123-4567",
            "078-05-1120",
            "4111.1111.1111.1111",
            "4111111111111111",
            "11010519491231002X",
            "DE89370400440532013000",
            "GB29NWBK60161331926819",
            "1234567",
            "10.0.0.1",
            "2001:db8::1",
            "a" * 65,
            "a\n",
            " ",
            "\ud800",
        ],
    )
    def test_anything_else_becomes_a_pseudonym(self, user: str) -> None:
        found = end_user_id(user, SECRET)
        assert found.startswith("user_")
        assert set(found.removeprefix("user_")) <= set("0123456789abcdef")
        assert len(found) == len("user_") + 16
        assert end_user_id(user, SECRET) == found
        assert end_user_id(user, b"another") != found

    @settings(deadline=None)
    @given(st.text(st.characters(exclude_categories=()), max_size=80))
    def test_is_always_short_and_of_plain_characters(self, user: str) -> None:
        found = end_user_id(user, SECRET)
        assert len(found) <= 64
        assert found.isascii()
        assert "@" not in found


class TestOutgoing:
    def test_names_the_upstream_s_model_and_caps_the_answer(self) -> None:
        assert sent(chat()) == {
            "model": "gpt-2026",
            "messages": HI,
            "max_completion_tokens": 100,
        }
        assert sent(completion()) == {"model": "gpt-2026", "prompt": "hi", "max_tokens": 100}
        assert sent(embedding()) == {"model": "gpt-2026", "input": "hi"}

    def test_caps_in_the_caller_s_own_field(self) -> None:
        assert sent(chat(max_tokens=5)) == {"model": "gpt-2026", "messages": HI, "max_tokens": 5}
        assert "max_tokens" not in sent(chat(max_completion_tokens=5))

    def test_caps_a_predicted_output_in_the_field_that_goes_with_it(self) -> None:
        body = sent(chat(prediction={"type": "content", "content": "a"}))
        assert body["max_tokens"] == 100
        assert "max_completion_tokens" not in body

    def test_a_cap_that_was_shrunk_is_what_leaves(self) -> None:
        assert sent(replace(chat(max_tokens=50), cap=9))["max_tokens"] == 9

    def test_asks_a_stream_for_its_usage_and_keeps_its_other_options(self) -> None:
        options = {"include_obfuscation": False, "include_usage": False}
        body = sent(chat(stream=True, stream_options=options))
        assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
        assert sent(chat(stream=True))["stream_options"] == {"include_usage": True}
        assert sent(chat(stream=True, stream_options=None))["stream_options"]["include_usage"]
        assert "stream_options" not in sent(chat(stream=False))

    def test_names_the_model_of_a_legacy_url(self) -> None:
        request = read_request({"prompt": "hi"}, "completions", "davinci-codex", Bounds())
        assert sent(weigh(request, MODEL))["model"] == "gpt-2026"

    def test_never_changes_the_caller_s_body(self) -> None:
        body = {"model": "gpt", "messages": HI, "stream": True, "stream_options": {"x": 1}}
        before = copy.deepcopy(body)
        outgoing(asked("chat", body), MODEL)
        assert body == before

    def test_is_compact_and_keeps_numbers_and_letters_as_they_are(self) -> None:
        raw = '{"model":"gpt","messages":[{"content":"我é😀"}],"seed":12345678901234567890123,'
        raw += '"temperature":0.1,"x":1e-07,"max_tokens":5}'
        found = asked("chat", parse_json(raw.encode(), 64))
        wanted = raw.replace('"gpt"', '"gpt-2026"').encode()
        assert outgoing(found, MODEL) == wanted

    def test_carries_half_a_surrogate_pair(self) -> None:
        found = chat(messages=[{"role": "user", "content": "é\ud800"}])
        body = outgoing(found, MODEL)
        assert json.loads(body)["messages"][0]["content"] == "é\ud800"
        assert parse_json(body, 64)


characters = st.characters(exclude_categories=())  # lone surrogates included
scalars = st.none() | st.booleans() | st.integers() | st.text(characters, max_size=8)
json_values = st.recursive(
    scalars | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
fields_of_ours = {"model", "messages", "prompt", "input", "stream", "stream_options", "n"}
fields_of_ours |= {"best_of", "user", "safety_identifier", "max_tokens", "max_completion_tokens"}
fields_of_ours |= {"response_format", "prediction", "suffix"}
unknown = st.text(max_size=6).filter(lambda name: name not in fields_of_ours)
parts = st.dictionaries(
    st.sampled_from(["type", "text", "image_url", "input_audio", "file", "refusal"]),
    st.sampled_from(["text", "image_url", "input_audio", "file"]) | json_values,
    max_size=3,
)
messages = st.dictionaries(
    st.sampled_from(["role", "content", "name", "tool_calls", "audio", "x"]),
    st.lists(parts, max_size=3) | json_values,
    max_size=4,
)


def through(endpoint: str, body: dict[str, Any], model: Model) -> tuple[dict[str, Any], Any] | None:
    """The body as it was read and as it leaves, or None where it is refused, as the caller is
    told. Anything else that is raised fails the test."""
    try:
        read = parse_json(json.dumps(body).encode(), 64)
        found = asked(endpoint, read, model)
        return read, sent(found, model)
    except ApiError:
        return None


@settings(deadline=None)
@given(
    st.sampled_from(["chat", "completions", "embeddings"]),
    st.fixed_dictionaries(
        {},
        optional={
            "messages": st.lists(messages, max_size=3) | json_values,
            **dict.fromkeys(sorted(fields_of_ours - {"messages"}), json_values),
        },
    ),
    st.sampled_from([MODEL, BYTES_MODEL]),
)
def test_any_json_object_leaves_or_is_refused(
    endpoint: str, body: dict[str, Any], model: Model
) -> None:
    through(endpoint, {"model": "gpt", "messages": HI, "input": "a", **body}, model)


@settings(deadline=None)
@given(
    st.sampled_from(["chat", "completions", "embeddings"]), st.dictionaries(unknown, json_values)
)
def test_fields_that_are_not_known_leave_as_they_came(
    endpoint: str, fields: dict[str, Any]
) -> None:
    body = {**fields, "model": "gpt", "messages": HI, "prompt": "a", "input": "a"}
    both = through(endpoint, body, MODEL)
    assert both is not None
    read, leaving = both
    assert {name: leaving[name] for name in fields} == {name: read[name] for name in fields}
    assert set(leaving) - set(read) <= {"max_tokens", "max_completion_tokens"}


@settings(deadline=None)
@given(st.lists(messages, min_size=1, max_size=3), st.integers(1, 400), st.integers(1, 128))
def test_the_cap_that_is_reserved_is_the_cap_that_leaves(
    messages: list[dict[str, Any]], cap: int, n: int
) -> None:
    found = chat(messages=messages, max_tokens=cap, n=n)
    assert found.output_tokens == n * sent(found)["max_tokens"]
    assert found.input_tokens <= MODEL.context
