"""What of an answer is kept for counting."""

import asyncio
from typing import Any

from gateway.answer_text import AnswerText
from gateway.privacy.mint import Vault


def kept(*events: dict[str, Any]) -> AnswerText:
    text = AnswerText(Vault(), None, False, 1_000)
    for event in events:
        asyncio.run(text.restore(event))
    return text


def test_a_choice_of_any_number_is_counted_and_an_error_is_not() -> None:
    choice = {"index": -1, "delta": {"content": "hi"}}
    text = kept({"choices": [choice]}, {"error": {"message": "It broke."}})
    assert text.said == {(-1, "content"): "hi"}
    assert text.untold_text == "hi"
