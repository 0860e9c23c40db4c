"""The examples of the guides can be used as they stand, beside the default policy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from golden import POLICIES

from gateway.backends.entities import SELECTABLE
from gateway.backends.examine import examine
from gateway.policy.parse import parse

GUIDES = Path(__file__).parent.parent.parent / "docs" / "guides"
EXAMPLES = [
    example
    for name in ("quotas.md", "redaction.md")
    for example in re.findall(
        r"^```yaml\n(.*?)^```", (GUIDES / name).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split()[1].rstrip(":"))
def test_an_example_is_a_policy(example: str) -> None:
    files = {
        "default.yaml": (POLICIES / "default.yaml").read_bytes(),
        "example.yaml": example.encode(),
    }
    found = parse(files, SELECTABLE, {"OPENAI_API_KEY": "set"}, examine)
    told = [str(one) for one in found.problems if one.file == "example.yaml"]
    assert [one for one in told if not one.endswith("so this profile is never used")] == []
    assert found.policy is not None


def test_examples_can_stand_beside_each_other() -> None:
    files = {f"{n}.yaml": text.encode() for n, text in enumerate(EXAMPLES)}
    files["default.yaml"] = (POLICIES / "default.yaml").read_bytes()
    assert parse(files, SELECTABLE, {"OPENAI_API_KEY": "set"}, examine).policy is not None


@pytest.mark.parametrize(
    "field",
    [
        "month_starts_on", "year_starts_in", "rollover", "per: none", "warn_at", "mode: soft",
        "clamp: true", "on_ledger_outage", "from:",
    ],
)  # fmt: skip
def test_every_way_to_account_exactly_has_an_example(field: str) -> None:
    assert any(field in example for example in EXAMPLES)
