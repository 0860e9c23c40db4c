"""What the chart refuses, and how it says so; and that values, schema and settings agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from chart_values import SECRET, URL
from charted import (
    CHART,
    PEPPER,
    POSTGRES,
    SHARED,
    changed,
    environ,
    helm,
    loaded,
    objects,
    refusal,
    texts,
)

import chart_reference  # scripts/chart_reference.py
from gateway.settings import PREFIX, load, settings_fields

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))


@pytest.mark.parametrize(("path", "value", "told"), [
    ("replicas", 3, "additional properties 'replicas' not allowed"),
    ("image.tags", "1", "at '/image': additional properties 'tags' not allowed"),
    ("image.tag", 1.1, "at '/image/tag': got number, want string"),
    ("image.digest", "sha256:1", "at '/image/digest'"),
    ("image.pullPolicy", "Sometimes", "at '/image/pullPolicy'"),
    ("replicaCount", "3", "at '/replicaCount': got string, want integer"),
    ("replicaCount", -1, "at '/replicaCount': minimum"),
    ("replicaCount", None, "missing property 'replicaCount'"),
    ("ingress", None, "missing property 'ingress'"),
    ("database.type", "mysql", "at '/database/type'"),
    ("database.url", "mysql://x", "at '/database/url'"),
    ("pepper.value", "short", "at '/pepper/value'"),
    ("podLabels.team", 1, "at '/podLabels/team': got number, want string"),
    ("podAnnotations.on", True, "at '/podAnnotations/on': got boolean, want string"),
    ("policies.files", {"acme.json": "{}"}, "acme.json"),
    ("policies.files", {"acme.yaml": {"organizations": {}}}, "got object, want string"),
    ("upstreamKeys.values", {"OPENAI-KEY": "sk-1"}, "OPENAI-KEY"),
    ("service.port", 70000, "at '/service/port': maximum"),
    ("shutdown.drainSeconds", "10s", "at '/shutdown/drainSeconds'"),
    ("persistence.size", "ten", "at '/persistence/size'"),
    ("metrics.serviceMonitor.interval", 30, "at '/metrics/serviceMonitor/interval'"),
    ("settings.GATEWAY_REQUESTS_MX", 1, "'GATEWAY_REQUESTS_MX' not allowed"),
    ("settings.GATEWAY_REQUESTS_MAX", 0, "at '/settings/GATEWAY_REQUESTS_MAX': minimum"),
    ("settings.GATEWAY_REQUESTS_MAX", "many", "at '/settings/GATEWAY_REQUESTS_MAX'"),
    ("settings.GATEWAY_LOG_LEVEL", "loud", "at '/settings/GATEWAY_LOG_LEVEL'"),
    ("settings.GATEWAY_PORT", 80, "'GATEWAY_PORT' not allowed"),
    ("extraEnv", [{"name": "A", "value": 1}], "got number, want string"),
])  # fmt: skip
def test_a_value_that_is_unknown_or_of_the_wrong_kind_is_named(
    path: str, value: Any, told: str
) -> None:
    values = changed(PEPPER, path, value)
    assert told in refusal(values)
    with pytest.raises(helm.HelmValuesError):
        loaded().validate_schema(values)
    if value is not None:
        assert any(told in error for error in helm.lint(CHART, values)["errors"])


ENABLED = {"enabled": True}
AUTOSCALED = {"autoscaling": ENABLED}


@pytest.mark.parametrize(("values", "told"), [
    ({}, "there is no pepper, the secret under which keys are hashed: kubectl --namespace llm "),
    ({"pepper": {"value": SECRET, "existingSecret": "x"}}, "pepper.value and pepper.existing"),
    (PEPPER | {"replicaCount": 2}, "2 pods cannot share an SQLite file: set database.type="),
    (PEPPER | AUTOSCALED, "10 pods cannot share an SQLite file"),
    (POSTGRES | {"replicaCount": 2}, "2 pods need an account that they share: set redis.enabled="),
    (POSTGRES | AUTOSCALED, "10 pods need an account that they share"),
    (PEPPER | {"database": {"url": URL}}, "database.type is sqlite: set database.type=postgresql"),
    (PEPPER | {"database": {"type": "postgresql"}}, "set database.existingSecret to a Secret"),
    (changed(POSTGRES, "database.url", URL), "database.url and database.existingSecret are both"),
    (changed(SHARED, "redis.url", "redis://x"), "redis.url and redis.existingSecret are both set"),
    (POSTGRES | {"redis": {"enabled": True}}, "set redis.existingSecret to a Secret"),
    (POSTGRES | {"redis": {"url": "redis://x"}}, "redis.enabled is false: set redis.enabled"),
    (PEPPER | {"redis": {"enabled": True, "url": "redis://x"}}, "redis.enabled needs database"),
    (
        PEPPER | {"database": {"type": "postgresql", "url": URL}, "migrations": {"mode": "hook"}},
        "put the URL into a Secret of yours",
    ),
    (
        PEPPER | {"policies": {"files": {"a.yaml": "{}"}, "existingConfigMap": "x"}},
        "policies.files and policies.existingConfigMap are both set",
    ),
    (PEPPER | {"ingress": {"enabled": True}}, "ingress.enabled needs hosts"),
    (PEPPER | {"httpRoute": {"enabled": True}}, "httpRoute.enabled needs a Gateway"),
    (
        PEPPER | {"metrics": {"serviceMonitor": ENABLED, "podMonitor": ENABLED}},
        "everything would be counted twice: choose one",
    ),
    (
        PEPPER | {"shutdown": {"terminationGracePeriodSeconds": 60}},
        "is 60, but a pod needs drainSeconds + graceSeconds = 615, and at least 10 more",
    ),
    (
        PEPPER | {"autoscaling": {"enabled": True, "minReplicas": 1, "maxReplicas": 1}},
        "autoscaling.enabled needs database.type=postgresql and redis.enabled=true",
    ),
    (
        PEPPER | {"settings": {"GATEWAY_OPS_TLS": True}},
        "settings.GATEWAY_OPS_TLS is on, but probes",
    ),
    (
        SHARED | {"autoscaling": {"enabled": True, "minReplicas": 20}},
        "autoscaling.minReplicas is more than autoscaling.maxReplicas",
    ),
    (
        SHARED | {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": None}},
        "needs something to scale by",
    ),
    (
        SHARED | {"podDisruptionBudget": {"minAvailable": 1}},
        "podDisruptionBudget.maxUnavailable and minAvailable are both set",
    ),
])  # fmt: skip
def test_values_that_contradict_each_other_are_refused_with_what_to_do(
    values: dict[str, Any], told: str
) -> None:
    assert told in refusal(values)


def test_a_release_that_begins_with_a_digit_needs_another_name() -> None:
    assert "set fullnameOverride" in refusal(PEPPER, name="1st")
    assert objects(PEPPER | {"fullnameOverride": "first"}, name="1st")


def leaves(tree: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The paths of the defaults down to where the schema stops to look."""
    place = SCHEMA
    for key in path:
        place = place["properties"][key]
    if isinstance(tree, dict) and "properties" in place and path != ("settings",):
        return set().union(*(leaves(value, (*path, key)) for key, value in tree.items()))
    return {path}


def schema_leaves(place: dict[str, Any], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    if "properties" not in place or path == ("settings",):
        return {path}
    found = (schema_leaves(one, (*path, key)) for key, one in place["properties"].items())
    return set().union(*found)


def test_schema_and_defaults_have_the_same_values_and_each_is_described() -> None:
    top = {path for path in leaves(DEFAULTS) if path[0] not in ("resources", "strategy")}
    known = {path for path in schema_leaves(SCHEMA) if path[0] not in ("resources", "strategy")}
    known = {path for path in known if path[:2] != ("migrations", "resources")}
    top = {path for path in top if path[:2] != ("migrations", "resources")}
    assert top == known - {("global",)}
    described = {value.path for value in chart_reference.values()}
    assert top <= described | {("migrations", "resources")}
    assert all(value.meaning[-1] in ".`)" for value in chart_reference.values())


def closed(place: Any) -> bool:
    """Whether everything with named parts takes no others."""
    if isinstance(place, list):
        return all(map(closed, place))
    if not isinstance(place, dict):
        return True
    is_open = "properties" in place and place.get("additionalProperties") is not False
    return not is_open and all(map(closed, place.values()))


def test_the_schema_takes_nothing_that_it_does_not_name() -> None:
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert closed({k: v for k, v in SCHEMA.items() if k != "properties"})
    assert SCHEMA["additionalProperties"] is False
    assert all(closed(one) for one in SCHEMA["properties"].values())


@pytest.mark.parametrize("base", [PEPPER, SHARED | {"networkPolicy": {"enabled": True}}])
@pytest.mark.parametrize("path", sorted({
    v.path[:n] for v in chart_reference.values() for n in range(1, len(v.path) + 1)
}), ids=".".join)  # fmt: skip
def test_an_empty_value_is_rendered_or_refused_in_words(
    base: dict[str, Any], path: tuple[str, ...]
) -> None:
    """`podLabels:` with nothing behind it is null, and Helm takes the default away."""
    values = changed(base, ".".join(path), None)
    try:
        texts(values)
        said = ""
    except helm.HelmError as refused:
        said = str(refused)
    in_words = ("missing propert", "error at (completion-gateway/templates/checks.yaml")
    assert not said or any(words in said for words in in_words), said


def test_the_chart_may_be_part_of_another_one() -> None:
    assert objects(PEPPER | {"global": {"imageRegistry": "example.com"}})


def test_a_setting_of_the_gateway_is_a_value_or_decided_by_others() -> None:
    names = {option.name for option in settings_fields()}
    assert names >= chart_reference.DECIDED_BY_OTHER_VALUES


def test_every_setting_reaches_the_gateway_as_it_was_written() -> None:
    """All of them at once, with their defaults, large numbers and fractions among them."""
    wanted = {
        PREFIX + option.name.upper(): option.default
        for option in settings_fields()
        if option.name not in chart_reference.DECIDED_BY_OTHER_VALUES and option.default is not None
    }
    assert wanted["GATEWAY_STREAM_ENTRIES_MAX"] == 1_000_000
    settings = load({}, environ(PEPPER | {"settings": wanted}))
    for name, value in wanted.items():
        assert getattr(settings, name.removeprefix(PREFIX).lower()) == value, name


@pytest.mark.parametrize(
    ("written", "told"), [(10**8, "100000000"), (2e6, "2000000"), ("30", "30")]
)
def test_a_large_number_has_no_exponent(written: Any, told: str) -> None:
    found = environ(PEPPER | {"settings": {"GATEWAY_KEYS_KEPT_MAX": written}})
    assert found["GATEWAY_KEYS_KEPT_MAX"] == told


@pytest.mark.parametrize(("written", "told"), [(True, "on"), (False, "off"), ("off", "off")])
def test_a_switch_that_yaml_took_for_true_is_on(written: Any, told: str) -> None:
    found = environ(PEPPER | {"settings": {"GATEWAY_POLICY_RELOAD": written}})
    assert found["GATEWAY_POLICY_RELOAD"] == told
