"""The documentation says what the code does: every setting, code, meter, policy key and command."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import metrics_reference  # scripts/metrics_reference.py
import reference  # scripts/reference.py
from gateway import errors, loading
from gateway.meters.metrics import PARTS, Meters
from gateway.policy.schema import json_schema
from gateway.settings import PREFIX, default_of, settings_fields

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"


def sections(page: str) -> dict[str, str]:
    """Heading (any level, without its backticks) → the text below it, up to the next heading."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    parts = re.split(r"^#+ +(.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.M)
    return {
        heading.replace("`", "").strip(): body
        for heading, body in zip(parts[1::2], parts[2::2], strict=True)
    }


@pytest.mark.parametrize("path", reference.pages(), ids=lambda path: path.name)
def test_a_generated_page_is_what_the_code_makes_of_it(path: Path) -> None:
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    assert written == reference.pages()[path], "run `make docs`"


@pytest.mark.parametrize("option", settings_fields(), ids=lambda option: option.name)
def test_a_setting_has_its_heading_default_and_help(option: Any) -> None:
    section = sections("settings.md")[PREFIX + option.name.upper()]
    default = default_of(option)
    assert option.metadata["help"] in section
    assert f"--{option.name.replace('_', '-')}`" in section
    assert ("Default: not set" if default is None else f"Default: `{default}`\n") in section


@pytest.mark.parametrize(("code", "meaning"), errors.CODES.items())
def test_an_error_code_has_its_heading_status_and_meaning(code: str, meaning: str) -> None:
    section = sections("errors.md")[code]
    assert meaning in section
    assert re.search(r"^HTTP [45]\d\d( or [45]\d\d)*\. ", section, re.MULTILINE), (
        "nothing raises this code"
    )


def test_no_code_is_raised_that_is_not_listed() -> None:
    assert reference.raised_codes().keys() <= errors.CODES.keys()


def test_every_meter_has_its_heading_help_and_labels() -> None:
    found = sections("metrics.md")
    told = {name: labels for name, _, labels, _, _ in metrics_reference.meters()}
    families = [one for one in every_family() if not one.name.startswith("process_")]
    assert len(families) == len(told)
    for family in families:
        name = family.name + "_total" * (family.type == "counter")
        assert family.documentation in found[name]
        assert all(f"`{label}`" in found[name] for label in told[name])


def every_family() -> list[Any]:
    return list(Meters(genai=True).registry.collect())


def test_the_values_of_a_meter_s_labels_are_told_where_the_code_fixes_them() -> None:
    """Each constant of the code is in the meter's section, and nothing else is."""
    found = sections("metrics.md")
    assert metrics_reference.METRIC_NOTES.keys() <= found.keys()
    source = "".join(path.read_text("utf-8") for path in (ROOT / "gateway").rglob("*.py"))
    stages = set(re.findall(r"\.did\(\"(\w+)\"\)", source))
    assert labels_of(found["gateway_overhead_seconds"], "stage") == stages | {"total"}
    parts = {*re.findall(r"degraded\.labels\(\"(\w+)\"\)", source), *loading.PARTS}
    assert set(PARTS) == parts
    assert labels_of(found["gateway_degraded"], "part") == parts
    assert labels_of(found["gateway_redactions_total"], "direction") == {"request", "answer"}


def labels_of(section: str, label: str) -> set[str]:
    """The words in code style between `<label>` is … and the facts."""
    _, _, told = section.partition(f"`{label}` is")
    return set(re.findall(r"`(\w+)`", told.partition("* Type:")[0]))


def test_no_page_tells_of_a_meter_or_setting_that_is_gone() -> None:
    meters = {family.name for family in every_family()}
    series = {name + end for name in meters for end in ("", "_total", "_bucket", "_sum", "_count")}
    settings = {PREFIX + option.name.upper() for option in settings_fields()}
    tests_only = re.compile(r"GATEWAY_TEST_\w+")
    gone = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in pages()
        if page.name != "CHANGELOG.md"
        for name in re.findall(r"\b(?:gateway_[a-z_]+|GATEWAY_[A-Z_]+)\b", page.read_text("utf-8"))
        if name not in series | settings and not tests_only.fullmatch(name)
    ]
    assert gone == []


def keys_of(schema: Any) -> Iterator[str]:
    """Every key that a policy file may have, at any depth; names of the admin's own are none."""
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from properties
        for value in schema.values():
            yield from keys_of(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from keys_of(value)


@pytest.mark.parametrize("key", sorted(set(keys_of(json_schema()))))
def test_a_policy_key_has_its_place_in_the_reference(key: str) -> None:
    text = (REFERENCE / "policy.md").read_text(encoding="utf-8")
    assert re.search(rf"^(#+ .*|\| *)`{re.escape(key)}:?`", text, re.MULTILINE), (
        "give it a heading, or the first cell of a table's row"
    )


@pytest.mark.parametrize(("name", "command"), list(reference.commands()))
def test_a_command_has_its_heading_and_every_option_its_row(name: str, command: Any) -> None:
    section = sections("commands.md")[name]
    for parameter in command.params:
        shown = parameter.name.upper() if reference.is_argument(parameter) else parameter.opts[0]
        assert re.search(rf"^\| `{re.escape(shown)}[ `]", section, re.MULTILINE), shown
        assert parameter.help, f"{name} {shown} has no help"


def test_help_says_what_the_reference_says() -> None:
    """The commands are those that a shell sees."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "NO_COLOR": "1"},
    )
    for name, _ in reference.commands():
        assert re.search(rf"\b{name.split()[1]}\b", done.stdout), name


def pages() -> list[Path]:
    """The pages that are the project's own."""
    folders = (ROOT / name for name in ("docs", "helm", "policies"))
    below = (path for folder in folders for path in folder.rglob("*.md"))
    return sorted([*ROOT.glob("*.md"), *below])


def anchors(page: Path) -> set[str]:
    """The names that a heading can be linked by, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in links(page):
        name, _, anchor = target.partition("#")
        goal = (page.parent / name).resolve() if name else page
        assert goal.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(goal), f"{target} names no heading"


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in links(index)}
    all_pages = {page for page in (ROOT / "docs").rglob("*.md") if page != index}
    assert sorted(page.name for page in all_pages - linked) == []
