"""Keys that are revoked, rotated and scoped, and policies that change, while the gateway runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from processes import Gateway, Simulator, wait_until


@pytest.fixture(scope="module")
def own(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose policies may be changed."""
    gateway = Gateway(tmp_path_factory.mktemp("changing"), simulator)
    yield gateway
    gateway.remove()


@pytest.fixture
def gateway(own: Gateway) -> Iterator[Gateway]:
    """The same, with its first policy in force before and after."""
    before = own.policy_file.read_text()
    wanted = digest(own)
    yield own
    own.policy_file.write_text(before)
    wait_until(lambda: digest(own) == wanted, "the first policy is back")


def status_of(gateway: Gateway, key: str) -> int:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    return gateway.post("/v1/chat/completions", key, json=body).status_code


def test_a_revoked_key_is_refused_on_the_next_request(gateway: Gateway) -> None:
    made = gateway.new_key("main", "to be revoked")
    assert status_of(gateway, made["key"]) == 200
    assert gateway.command("key", "revoke", made["id"]).returncode == 0
    assert status_of(gateway, made["key"]) == 401
    assert made["key"] not in gateway.command("key", "list").stdout


def test_a_rotated_key_goes_on_for_its_grace_and_no_longer(gateway: Gateway) -> None:
    made = gateway.new_key("main", "to be rotated")
    rotated = gateway.command_json("key", "rotate", made["id"], "--grace", "1h")
    assert rotated["id"] == made["id"]
    assert rotated["key"] != made["key"]
    assert [status_of(gateway, key) for key in (made["key"], rotated["key"])] == [200, 200]
    again = gateway.command_json("key", "rotate", made["id"], "--grace", "0s")
    statuses = [status_of(gateway, key) for key in (rotated["key"], again["key"])]
    assert statuses == [401, 200]


def test_a_rotation_does_not_renew_what_was_used(gateway: Gateway) -> None:
    made = gateway.new_key("prepaid", "spends")
    assert [status_of(gateway, made["key"]) for _ in range(6)] == [200] * 5 + [429]
    rotated = gateway.command_json("key", "rotate", made["id"])
    assert status_of(gateway, rotated["key"]) == 429


def test_a_key_lists_and_may_use_only_the_models_of_its_project(gateway: Gateway) -> None:
    headers = {"authorization": f"Bearer {gateway.key('narrow')}"}
    listed = httpx.get(f"{gateway.base_url}/models", headers=headers).json()["data"]
    assert [model["id"] for model in listed] == ["echo"]
    assert httpx.get(f"{gateway.base_url}/models/echo", headers=headers).status_code == 200
    hidden = httpx.get(f"{gateway.base_url}/models/davinci-codex", headers=headers)
    assert hidden.status_code in (403, 404)
    refused = gateway.chat("narrow", model="hidden")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_found")


def test_a_changed_policy_holds_from_then_on(gateway: Gateway) -> None:
    key = gateway.key("narrow")
    asked = {"prompt": "a", "max_tokens": 5}
    path = "/v1/engines/davinci-codex/completions"
    refused = gateway.post(path, key, json=asked)
    assert refused.status_code == 403
    old = gateway.policy_file.read_text()
    assert "narrow: {models: [echo]}" in old
    gateway.policy_file.write_text(old.replace("[echo]}", "[echo, davinci-codex]}"))
    wait_until(lambda: gateway.post(path, key, json=asked).status_code == 200, "the new policy")
    digests = {entry["policy_digest"] for entry in gateway.entries()}
    assert len(digests - {""}) >= 1


def failures(gateway: Gateway) -> float:
    return gateway.metric("gateway_policy_reload_failures_total")


def digest(gateway: Gateway) -> str:
    (labels,) = [
        dict(labels)
        for (name, labels), value in gateway.metrics().items()
        if name == "gateway_policy_info" and value == 1
    ]
    return labels["digest"]


def test_a_broken_policy_keeps_the_old_one(gateway: Gateway) -> None:
    old, old_digest = gateway.policy_file.read_text(), digest(gateway)
    gateway.key("main")
    broken: list[tuple[str, str]] = [
        ("half-written", old[: len(old) // 2] + "\n  {"),
        ("a dangling name", old.replace("plan: everything", "plan: nothing")),
        ("empty", ""),
    ]
    for what, text in broken:
        before = failures(gateway)
        gateway.policy_file.write_text(text)
        wait_until(lambda seen=before: failures(gateway) > seen, f"{what} is counted")
        assert gateway.chat().status_code == 200
        assert digest(gateway) == old_digest
    checked = gateway.command("check")
    assert checked.returncode == 1
    gateway.policy_file.write_text(old + "\n# and back again\n")
    wait_until(lambda: digest(gateway) != old_digest, "the repaired policy")
    assert gateway.chat().status_code == 200
    assert "Traceback" not in gateway.program.errors


def test_check_says_where_and_what_would_be_right(gateway: Gateway) -> None:
    text = gateway.policy_file.read_text()
    wrong = text.replace("narrow: {models: [echo]}", "narrow: {modles: [echo]}")
    wrong = wrong.replace("measure: money, amount: 100 USD", "measure: money, amount: 100")
    gateway.policy_file.write_text(wrong)
    checked = gateway.command("check")
    assert checked.returncode == 1
    said = checked.stdout + checked.stderr
    lines = wrong.splitlines()
    for wanted in ("modles", "amount: 100,"):
        (number,) = [n for n, line in enumerate(lines, 1) if wanted in line]
        assert f"journeys.yaml:{number}:" in said, said
    assert "models" in said


def test_a_request_keeps_the_policy_that_it_began_with(gateway: Gateway) -> None:
    began_with = digest(gateway)
    body = {
        "model": "echo",
        "messages": [{"role": "user", "content": "one two three"}],
        "stream": True,
        "simulate": {"chunk_delay_seconds": 0.5},
    }
    headers = {"authorization": f"Bearer {gateway.key('main')}"}
    url = f"{gateway.base_url}/chat/completions"
    with httpx.stream("POST", url, headers=headers, json=body, timeout=60) as answer:
        lines = answer.iter_lines()
        next(lines)
        gateway.policy_file.write_text(gateway.policy_file.read_text() + "\n# changed\n")
        rest: list[Any] = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    texts = [json.loads(line.removeprefix("data: ")) for line in rest[:-1]]
    assert texts
    entry = gateway.entry(answer.headers["x-request-id"])
    assert entry["policy_digest"] == began_with
