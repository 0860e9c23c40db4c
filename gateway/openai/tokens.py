"""How many tokens a prompt is, before it is sent: two bounds around what the provider charges.

`least` holds only what was counted with the provider's own vocabulary; a request is refused for its
length, and a default cap is shrunk, by it alone. `most` is what a limit reserves: the same, plus a
bound of everything that can only be estimated. Why each bound holds: docs/internals/bounds.md.

Vocabularies are those in the wheel of bpe-openai (GitHub's Rust `bpe` crate), equal by SHA-256 to
the files that tiktoken downloads; counting is linear in the text's length. It holds the GIL, so
that long texts are counted in parts (vocabulary.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any, NamedTuple, Protocol, cast

from gateway.openai.audio import audio_tokens
from gateway.openai.images import image_tokens
from gateway.openai.vocabulary import Vocabulary, counted

BYTES = "bytes"
ENCODINGS = {"o200k": "o200k_base", "cl100k": "cl100k_base"}

EXACT_BYTES_MAX = 2**20
"""Text of one request that is counted exactly, in UTF-8 bytes; what comes after is bounded by its
bytes. A vocabulary needs 0.1 s for so much English, and 1 s for the worst text there is."""

LONGEST_TOKEN_BYTES = 256
"""Twice the longest token of the vocabularies here (128 spaces), for those that are not."""

MESSAGE_TOKENS = 3
NAME_TOKENS = 1
REPLY_TOKENS = 3
"""What a chat template adds for each message, for a name, and for the reply that it opens. Source:
OpenAI cookbook, "How to count tokens with tiktoken"."""

RENDERED_FACTOR = 2
RENDERED_MARGIN = 64
"""What a provider makes of tools and schemas has at most so many times the tokens of their compact
JSON, and so many more for headings and instructions. Source: openai/harmony's renderer."""

_COUNTED_APART = frozenset(
    {
        *("model", "messages", "user", "safety_identifier", "metadata", "prompt_cache_key"),
        *("prompt_cache_retention", "logit_bias", "stop", "stream_options", "modalities"),
        *("audio", "service_tier", "reasoning_effort", "verbosity"),
    }
)
"""Fields of a chat request that are no part of the prompt, or are counted by themselves."""


_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


class _Extension(Protocol):
    def tokenizer_for_encoding(self, name: str) -> Vocabulary: ...


@cache
def load(tokenizer: str) -> Vocabulary:
    """The vocabulary of "o200k" or "cl100k": 0.1 s and 30 to 70 MB, once a process.

    Takes the extension module out of the package without importing the package, whose own import
    reads three vocabularies into Python dicts (1 s, 65 MB) that nobody here needs."""
    package = find_spec("bpe_openai")
    folders = package.submodule_search_locations if package else None
    spec = PathFinder.find_spec("_bindings", folders)
    if spec is None or spec.loader is None:
        raise ImportError("the package bpe-openai is not installed")
    extension = module_from_spec(spec)
    spec.loader.exec_module(extension)
    return cast(_Extension, extension).tokenizer_for_encoding(ENCODINGS[tokenizer])


def warm(tokenizers: Iterable[str] = tuple(ENCODINGS)) -> None:
    """Load vocabularies at start-up, all or those in use, so that no request waits for them."""
    for tokenizer in set(tokenizers) - {BYTES}:
        load(tokenizer)


def utf8_length(text: str) -> int:
    """Bytes of the text in UTF-8; a lone surrogate is three."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def count(text: str, tokenizer: str) -> int:
    """Tokens of a text: those of the vocabulary ("o200k", "cl100k"), or for "bytes" its length in
    UTF-8, which bounds every byte-level vocabulary, as no token is shorter than a byte. Above
    EXACT_BYTES_MAX it is always the length. A lone surrogate counts as U+FFFD, which servers put
    in its place. A text that has no place to be cut is counted in slices, each of which may differ
    by a token from what it has in the whole."""
    size = utf8_length(text)
    if tokenizer == BYTES or size > EXACT_BYTES_MAX:
        return size
    return counted(text, load(tokenizer))[0]


@cache
def _of_roles(tokenizer: str) -> Mapping[str, int]:
    """Tokens of the roles that the API knows, which nearly every message begins with: counted once,
    as no caller's text is. None of any where the vocabulary is not known."""
    return {} if tokenizer == BYTES else {role: count(role, tokenizer) for role in _ROLES}


def least_tokens(text: str, tokenizer: str) -> int:
    """Tokens that a text certainly is: its count, or for "bytes" as many as its length needs of the
    longest token. In slices where it is long, each of which may add a token."""
    if tokenizer == BYTES:
        return utf8_length(text) // LONGEST_TOKEN_BYTES
    slice_characters = EXACT_BYTES_MAX // 4
    starts = range(0, len(text), slice_characters)
    return sum(count(text[start : start + slice_characters], tokenizer) for start in starts)


class Count(NamedTuple):
    """Bounds of a number of tokens: `least` is certain, `most` is never exceeded."""

    least: int
    most: int


class Counter:
    """Adds up the prompts of one request. Texts are counted exactly up to EXACT_BYTES_MAX of them,
    and by their bytes from there on."""

    __slots__ = ("_bytes_left", "_context", "_least", "_most", "_roles", "_vocabulary")

    def __init__(self, tokenizer: str, context: int) -> None:
        self._vocabulary = None if tokenizer == BYTES else load(tokenizer)
        self._roles = _of_roles(tokenizer)
        self._context = context
        self._bytes_left = EXACT_BYTES_MAX
        self._least = 0
        self._most = 0

    def taken(self) -> Count:
        """What was added since the last time. `most` is at most the context: a longer prompt is
        refused by the provider, and not charged."""
        least, most, context = self._least, self._most, self._context
        self._least = self._most = 0
        return Count(least, most if most < context else context)

    def exactly(self, tokens: int) -> None:
        self._least += tokens
        self._most += tokens

    def at_most(self, tokens: int) -> None:
        self._most += tokens

    def anything(self) -> None:
        """Something of unknown size: it may fill the context."""
        self._most += self._context

    def text(self, text: str, *, is_certain: bool = True) -> None:
        """A text that is in the prompt as it stands, or may be."""
        size = len(text) if text.isascii() else utf8_length(text)
        vocabulary = self._vocabulary
        if vocabulary is None or size > self._bytes_left:
            self._most += size
            return
        self._bytes_left -= size
        tokens, is_exact = counted(text, vocabulary)
        self._most += tokens if is_exact else size
        if is_exact and is_certain:
            self._least += tokens

    def role(self, role: str) -> None:
        """The same as `text`, but for those that the API knows, which are counted already."""
        tokens = self._roles.get(role)
        if tokens is None or len(role) > self._bytes_left:
            self.text(role)
            return
        self._bytes_left -= len(role)
        self._least += tokens
        self._most += tokens

    def rendered(self, value: Any) -> None:
        """What the provider turns into text in a way of its own: tools, schemas, and fields that we
        do not know."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        before = self._most
        self.text(text, is_certain=False)
        self._most += (RENDERED_FACTOR - 1) * (self._most - before) + RENDERED_MARGIN


def chat_count(body: Mapping[str, Any], tokenizer: str, largest_image: int, context: int) -> Count:
    """The prompt of a chat request: messages, their parts and template, tools, schemas, and every
    other field that may become text. `largest_image` bounds one image; a part of unknown size (a
    file by id, earlier audio, a kind that we do not know) counts as the whole context."""
    counter = Counter(tokenizer, context)
    messages = body["messages"]
    counter.exactly(REPLY_TOKENS + MESSAGE_TOKENS * len(messages))
    for message in messages:
        _message(counter, message, largest_image)
    for field, value in body.items():
        if field not in _COUNTED_APART and isinstance(value, str | list | dict) and value:
            counter.rendered(value)
    return counter.taken()


def prompt_counts(
    prompt: Any, tokenizer: str, context: int, suffix: str | None = None
) -> tuple[Count, ...]:
    """One count for each prompt or input of a completions or embeddings request, which is a string,
    strings, token ids, lists of token ids, or None (the document separator, one token)."""
    counter = Counter(tokenizer, context)
    counts = []
    for one in prompts_of(prompt):
        if isinstance(one, str):
            counter.text(one)
        else:
            counter.exactly(1 if one is None else len(one))
        if isinstance(suffix, str):
            counter.text(suffix)
        counts.append(counter.taken())
    return tuple(counts)


def prediction_count(prediction: Any, tokenizer: str, context: int) -> Count:
    """A predicted output, the rejected part of which is charged as output."""
    counter = Counter(tokenizer, context)
    counter.rendered(prediction)
    return counter.taken()


def prompts_of(prompt: Any) -> Sequence[Any]:
    """The prompts, each a string, a list of token ids, or None."""
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        return prompt
    return [prompt]


def _message(counter: Counter, message: Mapping[str, Any], largest_image: int) -> None:
    for field, value in message.items():
        if field == "content" and type(value) is str:
            counter.text(value)
        elif field == "role" and type(value) is str:
            counter.role(value)
        elif field == "content" and isinstance(value, list | dict):
            for part in value if isinstance(value, list) else [value]:
                _part(counter, part, largest_image)
        elif field == "name" and isinstance(value, str):
            counter.text(value)
            counter.exactly(NAME_TOKENS)
        elif field == "audio" and value is not None:
            counter.anything()
        elif isinstance(value, str):
            counter.text(value, is_certain=False)
        elif value:
            counter.rendered(value)


def _part(counter: Counter, part: Any, largest_image: int) -> None:
    """One content part; what is malformed is left to the provider to refuse."""
    match part:
        case str():
            counter.text(part)
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            counter.text(text)
        case {"type": "image_url"}:
            counter.at_most(image_tokens(part.get("image_url"), largest_image))
        case {"type": "input_audio", "input_audio": {"data": str(data)}}:
            counter.at_most(audio_tokens(data, part["input_audio"].get("format")))
        case {"type": "file", "file": {"file_data": str(data)}}:
            counter.at_most(utf8_length(data))
        case _:
            counter.anything()
