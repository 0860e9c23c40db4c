"""The JSON Schema for editors: generated, shipped, and of one mind with the parser."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from golden import HERE, POLICIES
from jsonschema import Draft202012Validator

from gateway.backends.entities import SELECTABLE
from gateway.policy.schema import json_schema, schema_text

SCHEMA = Draft202012Validator(json_schema(SELECTABLE))


class Editor(yaml.SafeLoader):
    """Reads as editors do: in YAML 1.2 a date is a text."""


def as_text(_: Any, node: Any) -> str:
    return str(node.value)


Editor.add_constructor("tag:yaml.org,2002:timestamp", as_text)


def load(path: Path) -> Any:
    return yaml.load(path.read_text("utf-8"), Editor)


SHIPPED = sorted(POLICIES.rglob("*.yaml"))


def test_the_shipped_schema_is_what_the_tables_say() -> None:
    written = (POLICIES / "schema.json").read_text("utf-8")
    assert written == schema_text(SELECTABLE), "gateway check --schema > policies/schema.json"


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema(SELECTABLE))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_policies_fit(path: Path) -> None:
    assert list(SCHEMA.iter_errors(load(path))) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_policies_name_their_schema(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == (POLICIES / "schema.json").resolve()


def test_an_editor_sees_what_is_wrong_with_fields() -> None:
    document = yaml.safe_load((HERE / "refused" / "fields.yaml").read_text("utf-8"))
    wrong = {"/".join(map(str, error.path)) for error in SCHEMA.iter_errors(document)}
    assert {
        "",
        "upstreams",
        "upstreams/openai",
        "upstreams/openai/base_url",
        "upstreams/openai/idle_timeout",
        "models/gpt/endpoints/1",
        "models/gpt/price",
        "models/gpt/tokenizer",
        "redaction/standard/score_min",
        "plans/standard/models",
        "organizations/default/currency",
        "organizations/default/projects",
    } <= wrong


def test_an_editor_sees_what_is_wrong_with_budgets_and_prices() -> None:
    budgets = load(HERE / "refused" / "budgets.yaml")
    wrong = {"/".join(map(str, error.path)) for error in SCHEMA.iter_errors(budgets)}
    limits = "organizations/default/limits"
    assert {
        "upstreams/simulator/retries",
        "organizations/default/month_starts_on",
        f"{limits}/6/rollover",
        f"{limits}/10/warn_at/0",
        f"{limits}/11/warn_at",
        f"{limits}/20/mode",
    } <= wrong
    prices = load(HERE / "refused" / "prices.yaml")
    wrong = {"/".join(map(str, error.path)) for error in SCHEMA.iter_errors(prices)}
    assert {"models/moments/price", "models/none/price"} <= wrong
    assert "models/currencies/price" not in wrong


def test_an_editor_that_reads_yaml_1_2_may_see_thousands_as_text() -> None:
    model = {"upstream": "up", "endpoints": ["chat"], "context": "128_000"}
    assert list(SCHEMA.iter_errors({"models": {"gpt": model}})) == []
    model["context"] = "128000"
    assert list(SCHEMA.iter_errors({"models": {"gpt": model}})) != []
