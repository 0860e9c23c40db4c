"""A picture in a request, with the real reader and the real detector. Runs in .tools/ocr."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field

from drawn import CARD, MAIL, PLAIN, drawn, stored

from gateway.backends import ocr_worker
from gateway.backends.ocr_reader import OcrReader, reader_of
from gateway.backends.ocr_worker import Bounds
from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.openai.request import Request
from gateway.parts import State
from gateway.policy.policy import Endpoint
from gateway.privacy.pictures import text_of
from gateway.privacy.profile import Action, Images, Profile, Rule
from gateway.redaction import redact_body
from gateway.settings import Settings


@dataclass
class Means:
    detector: PresidioDetector
    reader: OcrReader
    settings: Settings
    state: State = field(default_factory=State)

    def secret(self, purpose: str, *names: str) -> bytes:
        return bytes(32)


async def redacted(url: str) -> tuple[str, dict[str, int]]:
    settings = Settings(ocr_timeout_seconds=120, redaction_timeout_seconds=60)
    means = Means(PresidioDetector(1, Patience(60, 60)), reader_of(settings), settings)
    rules = {"EMAIL_ADDRESS": Rule(Action.PLACEHOLDER), "CREDIT_CARD": Rule(Action.REPORT)}
    picture = {"type": "image_url", "image_url": {"url": url}}
    body = {"model": "m", "messages": [{"role": "user", "content": [picture]}]}
    try:
        await means.detector.warm()
        left, done, _ = await redact_body(
            Request(Endpoint.CHAT, "m", body),
            Profile("seen", rules, images=Images.OCR),
            ("acme", "demo"),
            means,
        )
    finally:
        await means.reader.aclose()
        await means.detector.aclose()
    assert body["messages"][0]["content"] == [picture]  # what came is not changed
    return left["messages"][0]["content"][0]["image_url"]["url"], dict(done.counts)


def test_it_leaves_covered_by_the_rules_of_the_profile() -> None:
    data = base64.b64encode(stored(drawn(MAIL, CARD, PLAIN))).decode()
    url, counts = asyncio.run(redacted(f"data:image/jpeg;base64,{data}"))  # which it is not
    assert counts == {"EMAIL_ADDRESS:mask": 1, "CREDIT_CARD:report": 1}
    head, _, written = url.partition(",")
    assert head == "data:image/png;base64"
    bounds = Bounds(10**7, 2048, 120)
    (words,) = ocr_worker.read([base64.b64decode(written)], bounds)
    assert "ann.smith" not in text_of(words)
    assert "4111111111111111" in text_of(words)
    assert PLAIN in text_of(words)
