"""Whatever stands in a policy file: it is understood, or there are problems; nothing is raised."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import yaml
from golden import POLICIES
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway.backends.entities import SELECTABLE
from gateway.policy.parse import Parsed, parse
from gateway.policy.policy import Policy
from gateway.policy.schema import json_schema
from gateway.quota.limit import Window

SHIPPED = (POLICIES / "examples" / "team-budgets.yaml").read_text("utf-8")
TOKENS = ["{", "}", "[", "]", ":", "- ", "\n", "\t", "&a", "*a", "<<", "!!str", "no", "~", "'", '"']
SCHEMA = Draft202012Validator(json_schema(SELECTABLE))


def assert_sound(found: Parsed, text: str) -> None:
    errors = [problem for problem in found.problems if problem.severity == "error"]
    assert (found.policy is None) == bool(errors)
    lines = len(text.splitlines()) + 1
    assert all(0 <= problem.line <= lines for problem in found.problems)
    assert all("\n" not in str(problem) for problem in found.problems)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
def test_any_bytes_are_answered(content: bytes) -> None:
    found = parse({"a.yaml": content}, SELECTABLE, {})
    assert_sound(found, content.decode("utf-8", "replace"))


@given(st.lists(st.sampled_from([*TOKENS, "models", "limits", "name", "1"]), max_size=40))
def test_any_heap_of_yaml_is_answered(tokens: list[str]) -> None:
    text = "".join(tokens)
    assert_sound(parse({"a.yaml": text.encode()}, SELECTABLE, {}), text)


@settings(max_examples=150)
@given(
    st.integers(0, len(SHIPPED)),
    st.integers(0, 40),
    st.sampled_from(TOKENS) | st.text(max_size=10),
)
def test_any_slip_in_a_good_file_is_answered(start: int, cut: int, put: str) -> None:
    text = SHIPPED[:start] + put + SHIPPED[start + cut :]
    assert_sound(parse({"a.yaml": text.encode("utf-8", "replace")}, SELECTABLE, {}), text)


names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,8}", fullmatch=True)
counts = st.integers(1, 10**12)
prices = st.decimals(0, 1000, places=9, allow_nan=False).map(lambda d: f"{d:f}")
dates = st.dates(date(1970, 1, 2), date(2200, 1, 1)).map(str)
flags = st.booleans()
BUCKETS = ("second", "minute", "hour")
windows = st.sampled_from([window.value for window in Window])


class Plain(str):
    """A number that is dumped with all its decimals, without quotes."""


def _plain(dumper: yaml.SafeDumper, value: Plain) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:float", str(value))


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


Dumper.add_representer(Plain, _plain)


@st.composite
def limit_lists(draw: st.DrawFn, prefix: str, levels: list[str]) -> list[dict[str, Any]]:
    limits = []
    for index, window in enumerate(draw(st.lists(windows, unique=True, max_size=3))):
        measure = draw(st.sampled_from(["requests", "tokens", "money"]))
        amount = f"{draw(counts) % 10**8 + 1}.50 USD" if measure == "money" else draw(counts)
        limit: dict[str, Any] = {
            "name": f"{prefix}-{index}",
            "measure": measure,
            "amount": amount,
            "per": window,
        }
        if draw(st.booleans()):
            limit["each"] = draw(st.sampled_from(levels))
        if draw(st.booleans()):
            limit["mode"] = draw(st.sampled_from(["observe", "soft", "enforce"]))
        if window not in BUCKETS and draw(st.booleans()):
            shares = draw(st.lists(st.integers(1, 100), min_size=1, max_size=3, unique=True))
            limit["warn_at"] = [share / 100 for share in sorted(shares)]
        if window not in (*BUCKETS, "none") and draw(st.booleans()):
            limit["rollover"] = amount
        if measure != "requests" and limit.get("mode", "enforce") == "enforce":
            limit["clamp"] = draw(st.booleans())
        limits.append(limit)
    return limits


@st.composite
def price_versions(draw: st.DrawFn) -> Any:
    """One price, or several from rising dates on."""
    since: list[str] = sorted(draw(st.lists(dates, max_size=3, unique=True)))
    versions = [
        {
            "input": Plain(draw(prices)),
            "output": Plain(draw(prices)),
            **({"from": day} if day else {}),
            **({"audio_input": Plain(draw(prices))} if draw(flags) else {}),
        }
        for day in (None, *since)
    ]
    return versions if len(since) > 0 or draw(flags) else versions[0]


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Policies without an error."""
    inside = ["project", "key", "end_user"]
    models = {
        name: {
            "upstream": "up",
            "endpoints": ["chat", *draw(st.sampled_from([[], ["completions"], ["embeddings"]]))],
            "price": draw(price_versions()),
            "context": 1000 + draw(counts) % 10**6,
            "max_output": 1000,
            "default_output": draw(st.integers(1, 1000)),
        }
        for name in draw(st.lists(names, min_size=1, max_size=4, unique=True))
    }
    projects = {
        name: {"models": ["*"], "limits": draw(limit_lists("project", inside))}
        for name in draw(st.lists(names, min_size=1, max_size=3, unique=True))
    }
    actions = st.sampled_from(["allow", "mask", "hash", "placeholder", "block"])
    return {
        "upstreams": {"up": {"base_url": "https://host/v1", "idle_timeout": "30s"}},
        "models": models,
        "redaction": {"some": {"entities": draw(st.dictionaries(st.sampled_from(sorted(SELECTABLE)),
                                                                actions))}},
        "plans": {"plan": {"limits": draw(limit_lists("plan", inside))}},
        "organizations": {
            draw(names): {
                "timezone": draw(st.sampled_from(["UTC", "Asia/Tokyo"])),
                "month_starts_on": draw(st.integers(1, 28)),
                "year_starts_in": draw(st.integers(1, 12)),
                "on_ledger_outage": draw(st.sampled_from(["refuse", "admit"])),
                "defaults": {"plan": "plan", "redaction": "some"},
                "limits": draw(limit_lists("organization", ["organization", *inside])),
                "projects": projects,
            }
        },
    }  # fmt: skip


def understood(text: str) -> Policy:
    found = parse({"a.yaml": text.encode()}, SELECTABLE, {})
    assert found.policy is not None, "\n".join(map(str, found.problems)) + "\n" + text
    return replace(found.policy, digest="")


@settings(max_examples=60)
@given(documents())
def test_a_policy_written_in_another_style_is_the_same(document: dict[str, Any]) -> None:
    block = yaml.dump(document, Dumper=Dumper, default_flow_style=False)
    flow = yaml.dump(document, Dumper=Dumper, default_flow_style=True, width=40)
    assert understood(block) == understood(flow)


@settings(max_examples=60)
@given(documents())
def test_what_is_accepted_fits_the_schema(document: dict[str, Any]) -> None:
    text = yaml.dump(document, Dumper=Dumper)
    understood(text)
    assert [error.message for error in SCHEMA.iter_errors(yaml.safe_load(text))] == []
