"""Golden policies: every one that is shipped is understood as written down beside it, and every one
that is wrong on purpose gets all of its problems, each with its line."""

from pathlib import Path

import pytest
from golden import ENVIRON, HERE, accepted, parsed, refused, told

from gateway.backends.entities import SELECTABLE
from gateway.policy.parse import FILES_MAX, digest_of, parse

MINIMAL = b"""
upstreams:
  simulator: {simulated: true}
models:
  echo: {upstream: simulator, endpoints: [chat], context: 1000, max_output: 100}
redaction:
  nothing: {entities: {}}
organizations:
  default: {projects: {demo: {models: [echo], redaction: nothing}}}
"""


@pytest.mark.parametrize(("policy", "expected"), accepted().items(), ids=lambda path: path.stem)
def test_a_shipped_policy_is_understood_as_written_down(policy: Path, expected: Path) -> None:
    found = parsed(policy)
    assert found.policy is not None
    assert [one for one in found.problems if one.severity != "note"] == []
    assert told(found) == expected.read_text("utf-8")


@pytest.mark.parametrize(("policy", "expected"), refused().items(), ids=lambda path: path.stem)
def test_a_wrong_policy_gets_every_problem_with_its_line(policy: Path, expected: Path) -> None:
    found = parsed(policy)
    assert found.policy is None
    assert told(found) == expected.read_text("utf-8")


def test_no_expected_text_is_left_over() -> None:
    expected = {*accepted().values(), *refused().values()}
    assert set(HERE.rglob("*.txt")) == expected


def test_a_secret_in_the_wrong_place_is_not_repeated() -> None:
    problems = told(parsed(HERE / "refused" / "fields.yaml"))
    assert "sk-this-is-a-key" not in problems
    assert "secret@" not in problems
    assert "user:pass" not in told(parsed(HERE / "refused" / "upstreams-and-models.yaml"))


def test_an_empty_folder_is_a_problem() -> None:
    found = parse({}, SELECTABLE, {})
    assert found.policy is None
    assert "found 0 policy files" in str(found.problems[0])


def test_too_many_files_are_a_problem() -> None:
    found = parse({f"{n}.yaml": b"" for n in range(FILES_MAX + 1)}, SELECTABLE, {})
    assert [str(p).split(";")[0] for p in found.problems] == [".: error: found 1001 policy files"]


def test_a_file_that_is_not_utf8_is_a_problem_at_its_line() -> None:
    found = parse({"a.yaml": b"upstreams:\n  caf\xe9: {}\n"}, SELECTABLE, {})
    assert [str(p) for p in found.problems] == [
        "a.yaml:2: error: this is not UTF-8; save the file as UTF-8"
    ]


def test_a_file_that_is_too_large_is_a_problem() -> None:
    found = parse({"a.yaml": b"#" * (2**20 + 1)}, SELECTABLE, {})
    assert "over 1048576 bytes" in str(found.problems[0])


def test_a_control_character_is_a_problem_at_its_line() -> None:
    found = parse({"a.yaml": b"upstreams:\n  a\x00b: {}\n"}, SELECTABLE, {})
    assert "a.yaml:2: error: the character U+0000 is not allowed" in str(found.problems[0])


def test_a_byte_order_mark_is_no_problem() -> None:
    assert parse({"a.yaml": b"\xef\xbb\xbf" + MINIMAL}, SELECTABLE, {}).policy is not None


def test_entities_are_those_that_the_detector_knows() -> None:
    text = MINIMAL.replace(b"entities: {}", b"entities: {SHOE_SIZE: block}")
    assert parse({"a.yaml": text}, frozenset({"SHOE_SIZE"}), {}).policy is not None
    assert parse({"a.yaml": text}, SELECTABLE, {}).policy is None


def test_a_missing_key_of_an_upstream_is_a_warning_and_with_simulate_a_note() -> None:
    upstream = b"openai: {base_url: 'https://host/v1', api_key_env: KEY}"
    refuse = MINIMAL.replace(b"simulator: {simulated: true}", upstream)
    refuse = refuse.replace(b"upstream: simulator", b"upstream: openai")
    simulate = refuse.replace(b"api_key_env: KEY", b"api_key_env: KEY, without_key: simulate")

    def severities(text: bytes, environ: dict[str, str]) -> list[str]:
        found = parse({"a.yaml": text}, SELECTABLE, environ)
        assert found.policy is not None
        return [p.severity for p in found.problems if "KEY" in p.message]

    assert severities(refuse, {}) == ["warning"]
    assert severities(refuse, {"KEY": ""}) == ["warning"]
    assert severities(refuse, {"KEY": "set"}) == []
    assert severities(simulate, {}) == ["note"]


def test_a_model_of_zero_price_suits_every_currency() -> None:
    text = MINIMAL.replace(b"max_output: 100", b"max_output: 100, price: {input: 0, output: 0}")
    text = text.replace(b"default: {", b"default: {currency: CHF, ")
    assert parse({"a.yaml": text}, SELECTABLE, {}).policy is not None
    text = text.replace(b"output: 0}", b"output: 0.000000001}")
    assert parse({"a.yaml": text}, SELECTABLE, {}).policy is None


def test_files_are_one_bundle_whatever_stands_where() -> None:
    whole = parse({"a.yaml": MINIMAL}, SELECTABLE, {}).policy
    head, organizations = MINIMAL.split(b"organizations:")
    split = parse(
        {"b.yml": head, "a.yaml": b"organizations:" + organizations}, SELECTABLE, ENVIRON
    ).policy
    assert whole is not None
    assert split is not None
    assert (whole.models, whole.organizations) == (split.models, split.organizations)


def test_an_alias_stands_for_its_anchor() -> None:
    text = MINIMAL.replace(b"demo: {", b"demo: &demo {").replace(b"}}}", b"}, other: *demo}}")
    policy = parse({"a.yaml": text}, SELECTABLE, {}).policy
    assert policy is not None
    assert set(policy.organizations["default"].projects) == {"demo", "other"}


def test_the_digest_is_that_of_names_and_contents() -> None:
    digests = {
        digest_of(files)
        for files in (
            {"a.yaml": b"x"},
            {"a.yaml": b"y"},
            {"b.yaml": b"x"},
            {"a.yaml": b"x", "b.yaml": b""},
            {"a.yaml": b"", "b.yaml": b"x"},
        )
    }
    assert len(digests) == 5
    assert all(len(digest) == 12 for digest in digests)
    assert digest_of({"a": b"1", "b": b"2"}) == digest_of({"b": b"2", "a": b"1"})


@pytest.mark.parametrize(
    ("written", "since"),
    [
        ("2026-12-01", 1_796_083_200.0),
        ("'2026-12-01'", 1_796_083_200.0),
        ("2026-12-01T00:00Z", 1_796_083_200.0),
        ("2026-12-01T00:00:00+01:00", 1_796_079_600.0),
        ("2026-12-01 00:30-05:30", 1_796_104_800.0),
    ],
)
def test_a_version_of_a_price_begins_at_its_midnight_in_utc_or_at_its_own_offset(
    written: str, since: float
) -> None:
    versions = f"price: [{{input: 1, output: 2}}, {{from: {written}, input: 3, output: 4}}]"
    text = MINIMAL.replace(b"max_output: 100", f"max_output: 100, {versions}".encode())
    policy = parse({"a.yaml": text}, SELECTABLE, {}).policy
    assert policy is not None
    model = policy.models["echo"]
    assert [version.since for version in model.prices] == [0.0, since]
    before, after = model.price_at(since - 0.001), model.price_at(since)
    assert before is not None
    assert after is not None
    assert (before.input, after.input) == (10**9, 3 * 10**9)


@pytest.mark.parametrize("mode", ["enforce", "soft", "observe"])
@pytest.mark.parametrize("where", ["organization", "project", "plan"])
def test_no_pattern_lets_a_model_without_a_price_under_a_limit_on_money(
    where: str, mode: str
) -> None:
    limits = f"limits: [{{name: budget, measure: money, amount: 1 USD, per: none, mode: {mode}}}]"
    text = f"""
upstreams: {{up: {{simulated: true}}}}
models: {{gpt-4o: {{upstream: up, endpoints: [chat], context: 1000, max_output: 100}}}}
redaction: {{none: {{entities: {{}}}}}}
plans: {{plan: {{models: ["gpt-*"], redaction: none, {limits if where == "plan" else ""}}}}}
organizations:
  acme:
    {limits if where == "organization" else "defaults: {}"}
    projects: {{demo: {{plan: plan, {limits if where == "project" else ""}}}}}
"""
    found = parse({"a.yaml": text.encode()}, SELECTABLE, {})
    errors = [str(one) for one in found.problems if one.severity == "error"]
    assert len(errors) == 1
    assert "limit `budget` counts money, but these models have no price: `gpt-4o`" in errors[0]
