"""Whatever values are set: what is rendered is valid, and its parts find each other."""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from chart_values import MATRIX
from charted import (
    CHART,
    CURRENT,
    NEWEST,
    OLDEST,
    PEPPER,
    Object,
    check,
    helm,
    objects,
    of_kind,
    pod_templates,
    texts,
)

from gateway import __version__

ABOUT = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
matrix = pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)


@pytest.mark.parametrize("version", [OLDEST, CURRENT, NEWEST])
@matrix
def test_every_object_is_valid_to_the_letter(values: dict[str, Any], version: str) -> None:
    for one in objects(values):
        check(one, version)


def test_a_field_that_kubernetes_does_not_know_would_be_told() -> None:
    (service, *_) = of_kind(objects(PEPPER), "Service")
    service["spec"]["prots"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="prots"):
        check(service, NEWEST)


def test_the_versions_are_those_that_the_chart_says_and_the_newest_there_is() -> None:
    assert ABOUT["kubeVersion"] == f">={OLDEST}.0-0"
    assert kubernetes_validate.latest_version().startswith(NEWEST)


@pytest.mark.parametrize("version", [f"v{OLDEST}.0", f"v{NEWEST}.0"])
@matrix
def test_helm_s_own_linter_has_no_complaint(values: dict[str, Any], version: str) -> None:
    report = helm.lint(CHART, values, strict=True, kube_version=version)
    complaints = [one for one in report["messages"] if one["severity"] > 1]
    assert (report["errors"], complaints) == ([], [])


def test_the_defaults_alone_are_linted_too() -> None:
    assert helm.lint(CHART, {}, strict=True)["errors"] == []


@matrix
def test_names_are_valid_and_no_two_objects_have_one(values: dict[str, Any]) -> None:
    named = [(one["kind"], one["metadata"]["name"]) for one in objects(values)]
    assert len(set(named)) == len(named)
    for _, name in named:
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name), name
        assert len(name) <= 63


@matrix
def test_every_text_is_a_text(values: dict[str, Any]) -> None:
    """Kubernetes refuses `yes`, `1.10` or `2e6` in labels, annotations and variables."""
    for one in objects(values):
        metadata = [one["metadata"], *(pod["metadata"] for pod in pod_templates([one]))]
        for found in metadata:
            for value in (
                *found.get("labels", {}).values(),
                *found.get("annotations", {}).values(),
            ):
                assert isinstance(value, str), found
    for pod in pod_templates(objects(values)):
        for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())):
            for variable in container.get("env", ()):
                assert isinstance(variable.get("value", ""), str), variable


@matrix
def test_every_object_says_what_it_belongs_to(values: dict[str, Any]) -> None:
    for one in objects(values):
        if one["metadata"]["name"] in ("gw-one", "gw-two"):  # extraObjects, as they are
            continue
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "completion-gateway"
        assert labels["app.kubernetes.io/instance"] == "gw"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/version"] == __version__
        assert labels["helm.sh/chart"] == f"completion-gateway-{__version__}"
        assert one["metadata"]["namespace"] in ("llm", "monitoring")


def selected(selector: Object, found: list[Object]) -> list[str]:
    """Components of the pods that labels select."""
    labels = [pod["metadata"]["labels"] for pod in pod_templates(found)]
    return [one["app.kubernetes.io/component"] for one in labels if selector.items() <= one.items()]


@matrix
def test_services_and_budgets_select_the_gateway_s_pods_and_no_others(
    values: dict[str, Any],
) -> None:
    """Neither the migration's pod nor that of `helm test` may get requests."""
    found = objects(values)
    selectors = [one["spec"]["selector"] for one in of_kind(found, "Service")]
    for kind in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
        selectors += [one["spec"]["selector"]["matchLabels"] for one in of_kind(found, kind)]
    assert len(selectors) >= 3
    for selector in selectors:
        assert selected(selector, found) == ["gateway"]


@matrix
def test_selectors_never_change(values: dict[str, Any]) -> None:
    """A version, or labels that people set, in one would make the next upgrade impossible."""
    for one in objects(values):
        if one["kind"] in ("Deployment", "StatefulSet"):
            assert one["spec"]["selector"] == {
                "matchLabels": {
                    "app.kubernetes.io/name": "completion-gateway",
                    "app.kubernetes.io/instance": "gw",
                    "app.kubernetes.io/component": "gateway",
                }
            }


@matrix
def test_the_operations_port_is_on_a_service_of_its_own(values: dict[str, Any]) -> None:
    services = of_kind(objects(values), "Service")
    ports = {one["metadata"]["name"]: [p["name"] for p in one["spec"]["ports"]] for one in services}
    assert ports == {"gw-completion-gateway": ["http"], "gw-completion-gateway-ops": ["ops"]}
    (ops,) = of_kind(services, "Service", "-ops")
    assert (ops["spec"]["type"], ops["spec"]["clusterIP"]) == ("ClusterIP", "None")


@matrix
def test_no_line_is_empty_but_the_first(values: dict[str, Any]) -> None:
    """What is rendered can be read, and a diff of two renderings too."""
    for path, text in texts(values).items():
        if path not in (
            "NOTES.txt",
            "prometheusrule.yaml",
            "dashboards.yaml",
            "extra-objects.yaml",
        ):
            assert "\n\n" not in text.strip(), path
            assert not re.search(r"[ \t]$", text.strip(), re.MULTILINE), path


LONG = "a-release-whose-name-is-as-long-as-helm-lets-it-be-53"


@pytest.mark.parametrize("values", [MATRIX["everything"], MATRIX["metrics"], PEPPER])
def test_long_names_are_cut_and_stay_different(values: dict[str, Any]) -> None:
    assert len(LONG) == 53
    found = objects(values, name=LONG)
    named = [(one["kind"], one["metadata"]["name"]) for one in found]
    assert len(set(named)) == len(named)
    assert all(len(name) <= 63 and not name.endswith("-") for _, name in named)
    for one in found:
        check(one, NEWEST)
    (long,) = of_kind(found, "StatefulSet") or of_kind(found, "Deployment")
    assert len(long["metadata"]["name"]) <= 52, "a label of its pods has 11 characters more"


def test_a_name_that_holds_the_chart_s_is_not_said_twice() -> None:
    names = {one["metadata"]["name"] for one in objects(PEPPER, name="my-completion-gateway")}
    assert "my-completion-gateway" in names
    renamed = objects(PEPPER | {"fullnameOverride": "yes"}, name="gw")
    assert "yes" in {one["metadata"]["name"] for one in renamed}


def test_the_chart_s_version_is_the_gateway_s() -> None:
    assert (ABOUT["version"], ABOUT["appVersion"]) == (__version__, __version__)
    assert isinstance(ABOUT["appVersion"], str)


def test_the_package_has_the_chart_and_nothing_else(tmp_path: Path) -> None:
    copied = tmp_path / "completion-gateway"
    shutil.copytree(CHART, copied)
    (copied / "values.yaml.orig").write_text("left by a merge")
    archive = helm.package(copied, destination=tmp_path)
    assert Path(archive).name == f"completion-gateway-{__version__}.tgz"
    with tarfile.open(archive) as packed:
        names = {name.removeprefix("completion-gateway/") for name in packed.getnames()}
    ours = {path.relative_to(CHART).as_posix() for path in CHART.rglob("*") if path.is_file()}
    assert names == ours - {".helmignore"} or names == ours
    assert objects(PEPPER, chart=Path(archive)) == objects(PEPPER)
