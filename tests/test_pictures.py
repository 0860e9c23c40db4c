"""Pictures under `images: ocr` in a whole exchange, with a reader to whom a picture is its text."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
from test_exchange import USAGE, run
from world import POLICY, World, chat, plain_answer

from gateway.errors import ApiError, BadRequest, TextBlocked, Unavailable
from gateway.privacy.redact import DetectionFailed, DetectorMissing

RULES = "EMAIL_ADDRESS: placeholder, PRIVATE_KEY: block"


def world_with(rules: str = RULES, **settings: Any) -> World:
    standard = b"standard: {entities: {EMAIL_ADDRESS: placeholder, PRIVATE_KEY: block}}"
    assert standard in POLICY
    profile = f"standard: {{images: ocr, entities: {{{rules}}}}}"
    return World(POLICY.replace(standard, profile.encode()), **settings)


def url_of(picture: bytes | str, media: str = "image/png") -> str:
    data = picture.encode() if isinstance(picture, str) else picture
    return f"data:{media};base64,{base64.b64encode(data).decode()}"


def part(picture: bytes | str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url_of(picture), "detail": "low"}}


def asked(*parts: Any, text: str = "look") -> dict[str, Any]:
    body = chat()
    body["messages"][0]["content"] = [{"type": "text", "text": text}, *parts]
    return body


def sent_by(world: World, body: dict[str, Any]) -> list[Any]:
    world.upstream.pieces = [plain_answer("ok", USAGE)]
    run(world, world.call(body))
    content: list[Any] = world.upstream.received[-1]["messages"][-1]["content"]
    return content


def seen_in(image: dict[str, Any]) -> str:
    return base64.b64decode(image["image_url"]["url"].split(",")[1]).decode()


def refused(world: World, body: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as refusal:
        run(world, world.call(body))
    assert world.upstream.received == []
    return refusal.value


def test_what_is_private_in_a_picture_is_covered_counted_as_mask_and_not_restored() -> None:
    world = world_with()
    said, picture = sent_by(world, asked(part("mail ann@example.com now"), text="hi bob@x.com"))
    assert seen_in(picture) == "mail ############### now"
    assert picture["image_url"]["detail"] == "low"
    assert said["text"].startswith("hi EMAIL_ADDRESS_")
    (entry,) = world.journal.entries
    assert entry.redactions == {"EMAIL_ADDRESS:placeholder": 1, "EMAIL_ADDRESS:mask": 1}


@pytest.mark.parametrize("action", ["mask", "hash", "placeholder", "replace"])
def test_every_action_that_replaces_covers(action: str) -> None:
    world = world_with(f"EMAIL_ADDRESS: {action}")
    _, picture = sent_by(world, asked(part("ann@example.com")))
    assert seen_in(picture) == "###############"
    assert world.journal.entries[0].redactions == {"EMAIL_ADDRESS:mask": 1}


def test_a_report_counts_only() -> None:
    world = world_with("EMAIL_ADDRESS: report")
    _, picture = sent_by(world, asked(part("ann@example.com")))
    assert seen_in(picture) == "ann@example.com"
    assert world.journal.entries[0].redactions == {"EMAIL_ADDRESS:report": 1}


def test_a_block_refuses_and_is_counted() -> None:
    world = world_with()
    refusal = refused(world, asked(part("BEGIN PRIVATE KEY")))
    assert isinstance(refusal, TextBlocked)
    assert refusal.code == "pii_blocked"
    assert world.journal.entries[0].redactions == {"PRIVATE_KEY:block": 1}


def test_findings_of_texts_and_pictures_are_counted_together() -> None:
    world = world_with("EMAIL_ADDRESS: {action: mask, count_min: 3}")
    two = asked(part("ann@example.com"), text="bob@example.com")
    assert seen_in(sent_by(world, two)[1]) == "ann@example.com"
    three = asked(part("ann@example.com"), part("eve@example.com"), text="bob@example.com")
    assert [seen_in(one) for one in sent_by(world, three)[1:]] == ["#" * 15] * 2


def test_pictures_in_every_message_and_shape_are_read() -> None:
    url = url_of("ann@example.com")
    for shape in (
        {"type": "image_url", "image_url": url},
        {"type": "input_image", "image_url": url},
        {"type": "image", "image": url},
        {"type": "file", "file": {"file_data": url}},
        {"type": "tool_result", "content": [{"image_url": {"url": url}}]},
    ):
        world = world_with()
        body = asked(shape)
        body["messages"].insert(0, {"role": "assistant", "content": [shape]})
        sent_by(world, body)
        assert url not in str(world.upstream.received)
        assert str(world.upstream.received).count(url_of("#" * 15)) == 2, shape


@pytest.mark.parametrize(
    "image",
    [
        {"type": "image_url", "image_url": {"url": "https://a.test/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}},
        {"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}},
        {"type": "image_url", "image_url": {"url": None}},
        {"type": "image_url", "image_url": {}},
        {"type": "image_url"},
        {"type": "input_image", "file_id": "file-1"},
        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
        {"image_url": ["https://a.test/a.png"]},
        part("noise"),
    ],
    ids=str,
)
def test_a_picture_that_cannot_be_read_is_refused(image: dict[str, Any]) -> None:
    refusal = refused(world_with(), asked(part("fine"), image))
    assert isinstance(refusal, BadRequest)
    assert refusal.code == "images_unreadable"


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02\0\0\0"


def test_pictures_over_the_bounds_are_refused_before_they_are_read() -> None:
    for settings, parts in (
        ({"images_max": 2}, [part("fine")] * 3),
        ({"image_bytes_max": 1024}, [part("x" * 1025)]),
        ({"image_pixels_max": 10_000}, [part(png(101, 100))]),
    ):
        world = world_with(**settings)
        assert refused(world, asked(*parts)).code == "images_unreadable"
        assert world.reader.read_so_far == 0


@pytest.mark.parametrize(("failure", "retry"), [(DetectionFailed, None), (DetectorMissing, False)])
def test_where_reading_fails_nothing_leaves(
    failure: type[DetectionFailed], retry: bool | None
) -> None:
    world = world_with()
    world.reader.failure = failure
    refusal = refused(world, asked(part("fine")))
    assert isinstance(refusal, Unavailable)
    assert (refusal.code, refusal.retry) == ("redaction_failed", retry)
    assert refusal.__context__ is None, "the reader's frames hold words"


def test_the_text_of_pictures_counts_to_what_is_scanned() -> None:
    world = world_with(redaction_bytes_max=1024)
    assert refused(world, asked(part("word " * 250))).status == 413


def test_the_debug_log_names_the_place_of_a_picture_and_no_value() -> None:
    world = world_with(redaction_debug="on")
    sent_by(world, asked(part("ann@example.com")))
    (line,) = [fields for event, fields in world.log.lines if event == "redacted"]
    assert line["findings"][0]["place"] == "messages.0.content.1.image_url.url"
    assert line["findings"][0]["action"] == "mask"
    assert "ann" not in str(line)


def test_a_request_without_pictures_is_as_without_ocr() -> None:
    world = world_with()
    (said,) = sent_by(world, asked(text="hi ann@example.com"))
    assert said["text"].startswith("hi EMAIL_ADDRESS_")
    assert world.reader.read_so_far == 0
