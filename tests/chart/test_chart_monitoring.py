"""Monitors, rules and dashboards: all files that are there, as they are."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_values import MATRIX
from charted import (
    CHART,
    PEPPER,
    SHARED,
    changed,
    container,
    loaded,
    objects,
    of_kind,
    refusal,
    the,
    workload,
)

VALUES = MATRIX["metrics"]
DASHBOARDS = CHART / "files" / "dashboards"
RULES = CHART / "files" / "rules"
CONFIG_MAP_BYTES_MAX = 2**20


def test_every_dashboard_is_a_config_map_that_grafana_s_sidecar_finds() -> None:
    maps = of_kind(objects(VALUES), "ConfigMap")
    files = sorted(DASHBOARDS.glob("*.json"))
    assert len(maps) == len(files)
    found = {name: (one, text) for one in maps for name, text in one["data"].items()}
    for file in files:
        one, text = found[file.name]
        assert json.loads(text) == json.loads(file.read_text("utf-8"))
        assert len(text.encode()) < CONFIG_MAP_BYTES_MAX
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert one["metadata"]["annotations"]["grafana_folder"] == "LLM"
        assert one["metadata"]["namespace"] == "monitoring"
        assert one["metadata"]["name"] == f"gw-completion-gateway-dashboard-{file.stem}"


def test_every_rule_file_is_a_prometheus_rule() -> None:
    rules = of_kind(objects(VALUES), "PrometheusRule")
    files = sorted(RULES.glob("*.yaml"))
    assert {one["metadata"]["name"]: one["spec"] for one in rules} == {
        f"gw-completion-gateway-rules-{file.stem}": yaml.safe_load(file.read_text("utf-8"))
        for file in files
    }
    assert all(one["metadata"]["labels"]["release"] == "kps" for one in rules)


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A copy of the chart with no files."""
    copied = tmp_path / "completion-gateway"
    shutil.copytree(CHART, copied)
    shutil.rmtree(copied / "files", ignore_errors=True)
    return copied


def test_without_files_there_is_nothing(chart: Path) -> None:
    found = objects(VALUES, chart=chart)
    assert not of_kind(found, "ConfigMap")
    assert not of_kind(found, "PrometheusRule")


def test_braces_of_prometheus_and_grafana_are_left_alone(chart: Path) -> None:
    board = {"title": "{{ job }}", "panels": [{"legend": '{{`x`}} \\ " é'}]}
    rules = {"groups": [{"name": "a", "rules": [{"alert": "Up", "expr": "up == 0", "annotations": {
        "summary": "{{ $labels.job }} is {{ $value | humanize }}",
    }}]}]}  # fmt: skip
    for folder, name, content in (
        ("dashboards", "My Board_2.json", json.dumps(board, indent=2)),
        ("rules", "a.yaml", f"# a comment\n{yaml.safe_dump(rules)}"),
    ):
        (chart / "files" / folder).mkdir(parents=True)
        (chart / "files" / folder / name).write_text(content)
    found = objects(VALUES, chart=chart)
    (config_map,) = of_kind(found, "ConfigMap")
    assert json.loads(config_map["data"]["My Board_2.json"]) == board
    assert config_map["metadata"]["name"] == "gw-completion-gateway-dashboard-my-board-2"
    (rule,) = of_kind(found, "PrometheusRule")
    assert rule["spec"] == rules


def test_label_folder_and_namespace_are_yours() -> None:
    own = {
        "enabled": True,
        "label": "dash",
        "labelValue": "yes",
        "folder": "A/B",
        "folderAnnotation": "k8s-sidecar-target-directory",
        "annotations": {"a": "b"},
        "labels": {"c": "d"},
    }
    for one in of_kind(objects(SHARED | {"metrics": {"dashboards": own}}), "ConfigMap"):
        assert one["metadata"]["labels"].items() >= {"dash": "yes", "c": "d"}.items()
        assert one["metadata"]["annotations"] == {
            "k8s-sidecar-target-directory": "A/B",
            "a": "b",
        }
        assert one["metadata"]["namespace"] == "llm"


JOB_LABEL = "app.kubernetes.io/part-of"


def test_a_service_monitor_finds_the_operations_service() -> None:
    monitor = the(VALUES, "ServiceMonitor")
    service = the(VALUES, "Service", "-ops")
    assert monitor["metadata"]["labels"]["release"] == "kps"
    spec = monitor["spec"]
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    api = the(VALUES, "Service", "gateway")["metadata"]["labels"]
    assert not spec["selector"]["matchLabels"].items() <= api.items()
    (endpoint,) = spec["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert endpoint["path"] == "/metrics"
    assert spec["namespaceSelector"] == {"matchNames": ["llm"]}
    assert endpoint["metricRelabelings"][0]["action"] == "drop"
    assert service["metadata"]["labels"][spec["jobLabel"]] == "completion-gateway"


def test_a_pod_monitor_finds_the_pods() -> None:
    values = MATRIX["metrics of pods"]
    monitor = the(values, "PodMonitor")
    assert monitor["metadata"]["namespace"] == "monitoring"
    template = the(values, "StatefulSet")["spec"]["template"]
    spec = monitor["spec"]
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["port"] in [port["name"] for port in container(values)["ports"]]
    assert endpoint["relabelings"] == [{"targetLabel": "cluster", "replacement": "a"}]
    assert template["metadata"]["labels"][spec["jobLabel"]] == "completion-gateway"


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor"])
@pytest.mark.parametrize(
    "own",
    [
        {"nameOverride": "other"},
        {"fullnameOverride": "other"},
        {"commonLabels": {JOB_LABEL: "other"}, "podLabels": {JOB_LABEL: "other"}},
    ],
    ids=str,
)
def test_prometheus_job_is_the_one_of_rules_whatever_the_release_is_called(
    own: dict[str, Any], kind: str
) -> None:
    """The job is the value of `jobLabel` on what the monitor finds: a Service, or the pods."""
    key = kind[0].lower() + kind[1:]
    values: dict[str, Any] = PEPPER | own | {"metrics": {key: {"enabled": True}}}
    spec = the(values, kind)["spec"]
    assert spec["jobLabel"] == JOB_LABEL
    if kind == "ServiceMonitor":
        labels = the(values, "Service", "-ops")["metadata"]["labels"]
    else:
        labels = workload(values)["spec"]["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    for file in RULES.glob("*.yaml"):
        matchers = set(re.findall(r'job=~"([^"]+)"', file.read_text("utf-8")))
        assert matchers, file.name
        for matcher in matchers:
            assert re.fullmatch(matcher, labels[spec["jobLabel"]]), f"{file.name}: {matcher}"


def runbooks(values: dict[str, Any]) -> set[str]:
    return {
        alert["annotations"]["runbook_url"]
        for one in of_kind(objects(values), "PrometheusRule")
        for group in one["spec"]["groups"]
        for alert in group["rules"]
        if "alert" in alert
    }


BASE = "metrics.prometheusRule.runbookBaseUrl"


def test_runbooks_are_where_you_keep_them() -> None:
    standing = {url.rpartition("/")[2] for url in runbooks(VALUES)}
    (default,) = {url.rpartition("/")[0] for url in runbooks(VALUES)}
    assert default == loaded().values["metrics"]["prometheusRule"]["runbookBaseUrl"]
    for own in ("https://wiki.example.com/a/gateway", "http://wiki:8080/?page=runbooks"):
        for end in ("", "/"):
            moved = changed(VALUES, BASE, own + end)
            assert runbooks(moved) == {f"{own}/{page}" for page in standing}
    one, other = (
        [o["spec"] for o in of_kind(objects(v), "PrometheusRule")]
        for v in (VALUES, changed(VALUES, BASE, "https://a"))
    )
    assert yaml.safe_dump(one).replace(default, "https://a") == yaml.safe_dump(other)


@pytest.mark.parametrize(
    "wrong", ["", "wiki", "ftp://a", "https://a b", "https://a/{{ b }}", "https://$1"]
)
def test_an_address_of_runbooks_that_is_none_is_refused(wrong: str) -> None:
    assert "runbookBaseUrl" in refusal(changed(VALUES, BASE, wrong))


def test_how_often_is_yours() -> None:
    found = the(changed(VALUES, "metrics.serviceMonitor.interval", "1m"), "ServiceMonitor")
    assert found["spec"]["endpoints"][0]["interval"] == "1m"
