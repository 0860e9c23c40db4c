"""Recognizers and an NER engine that an admin adds to a running gateway."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from processes import Gateway, Simulator, wait_until
from small_ner import train

NAMES = """
recognizers:
  STAFF_NUMBER: {{patterns: ['E-[0-9]{{6}}'], matches: [E-123456]}}
ner:
  small: {{kind: spacy, model: {model}, timeout: 30s}}
redaction:
  names:
    ner: small
    entities:
      {{PERSON: placeholder, LOCATION: placeholder, STAFF_NUMBER: placeholder, UK_NHS: mask}}
"""
TEXT = "I met Anna Kovacs yesterday in Osaka . E-123456 has 943-476-5919"


def echo(gateway: Gateway, text: str, **fields: bool) -> str:
    answer = gateway.chat("private", text, **fields)
    assert answer.status_code == 200, answer.text
    if not fields:
        return str(answer.json()["choices"][0]["message"]["content"])
    events = [json.loads(line[6:]) for line in answer.text.split("\n\n") if "{" in line]
    choices = [choice for event in events for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_they_take_names_and_numbers_out_and_put_them_back(
    new_gateway: Callable[..., Gateway], simulator: Simulator, tmp_path: Path
) -> None:
    gateway = new_gateway()
    assert echo(gateway, "E-000000 943-476-5919") == "E-000000 943-476-5919"
    model = train(tmp_path / "model")
    gateway.policies.joinpath("names.yaml").write_text(NAMES.format(model=model))
    policy = gateway.policy_file.read_text()
    gateway.policy_file.write_text(policy.replace("{redaction: private}", "{redaction: names}"))
    wait_until(lambda: "943" not in echo(gateway, "943-476-5919"), "the new policy")
    for fields in ({}, {"stream": True}):
        assert echo(gateway, TEXT, **fields) == TEXT.replace("943-476-5919", "********")
        (*_, sent) = [one["body"] for one in simulator.received() if one["event"] == "received"]
        (message,) = sent["messages"]
        for value in ("Anna", "Kovacs", "Osaka", "E-123456", "943"):
            assert value not in message["content"]
    entry = gateway.entry(gateway.chat("private", TEXT).headers["x-request-id"])
    counts = json.loads(entry["redactions"])
    assert counts["LOCATION:placeholder"] == counts["UK_NHS:mask"] == 1
    assert counts["PERSON:placeholder"] >= 1


def test_a_model_that_is_not_there_refuses_or_goes_on_without_as_the_policy_says(
    new_gateway: Callable[..., Gateway],
) -> None:
    gateway = new_gateway()
    policy = gateway.policy_file.read_text()
    gateway.policy_file.write_text(policy.replace("{redaction: private}", "{redaction: names}"))
    names = gateway.policies / "names.yaml"
    names.write_text(NAMES.format(model="no_such_model"))
    wait_until(lambda: gateway.chat("private", TEXT).status_code == 503, "the engine is missed")
    refused = gateway.chat("private", TEXT)
    assert refused.json()["error"]["code"] == "redaction_failed"
    without = "timeout: 30s, on_detector_failure: without_ner"
    names.write_text(NAMES.format(model="no_such_model").replace("timeout: 30s", without))
    wait_until(lambda: gateway.chat("private", TEXT).status_code == 200, "it goes on without")
    assert "E-123456" in echo(gateway, TEXT)
    entry = gateway.entry(gateway.chat("private", TEXT).headers["x-request-id"])
    counts = json.loads(entry["redactions"])
    by_lists = {"PERSON:placeholder": 1, "LOCATION:placeholder": 1}
    assert counts == {"STAFF_NUMBER:placeholder": 1, "UK_NHS:mask": 1} | by_lists
    assert gateway.metric("gateway_redactions_without_ner_total") >= 2
