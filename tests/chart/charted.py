"""The chart as Helm itself renders it, and words to look at what comes out."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

helm = pytest.importorskip("helm_python", reason="there is no wheel of Helm for this platform")

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "completion-gateway"
RELEASE, NAMESPACE = "gw", "llm"

PEPPER: dict[str, Any] = {"pepper": {"existingSecret": "gateway-pepper"}}
POSTGRES = PEPPER | {
    "database": {"type": "postgresql", "existingSecret": "pg-app", "existingSecretKey": "uri"}
}
SHARED = POSTGRES | {"redis": {"enabled": True, "existingSecret": "valkey"}, "replicaCount": 3}

OLDEST, CURRENT, NEWEST = "1.27", "1.36", "1.37"
CUSTOM = ("monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1")
"""Their schemas are those of `make ops-test`."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Object = dict[str, Any]


@cache
def loaded(path: Path = CHART) -> Any:
    return helm.Chart.load(path)


def texts(values: Mapping[str, Any], name: str = RELEASE, chart: Path = CHART) -> dict[str, str]:
    """What each template becomes, by its path below templates/."""
    return _rendered(json.dumps(dict(values)), name, chart)


@cache
def _rendered(values: str, name: str, chart: Path) -> dict[str, str]:
    found = loaded(chart).render(json.loads(values), name=name, namespace=NAMESPACE)
    return {path.split("/templates/", 1)[1]: text for path, text in found.items()}


def objects(values: Mapping[str, Any], name: str = RELEASE, chart: Path = CHART) -> list[Object]:
    return [
        one
        for path, text in texts(values, name, chart).items()
        if path != "NOTES.txt"
        for one in yaml.load_all(text, LOADER)
        if one
    ]


def check(one: Object, version: str) -> None:
    """Raises where an object of Kubernetes itself is not valid to the letter."""
    if one["apiVersion"] not in CUSTOM:
        _checked(json.dumps(one), version)


@cache
def _checked(one: str, version: str) -> None:
    kubernetes_validate.validate(json.loads(one), version, strict=True)


def notes(values: Mapping[str, Any]) -> str:
    return texts(values)["NOTES.txt"]


def of_kind(found: list[Object], kind: str, end: str = "") -> list[Object]:
    """Objects of a kind whose name has this end."""
    return [one for one in found if one["kind"] == kind and one["metadata"]["name"].endswith(end)]


def the(values: Mapping[str, Any], kind: str, end: str = "") -> Object:
    """The only object of a kind, or the only one whose name has this end."""
    (one,) = of_kind(objects(values), kind, end)
    return one


def kinds(values: Mapping[str, Any]) -> set[str]:
    return {one["kind"] for one in objects(values)}


def workload(values: Mapping[str, Any]) -> Object:
    (one,) = [one for one in objects(values) if one["kind"] in ("Deployment", "StatefulSet")]
    return one


def pod(values: Mapping[str, Any]) -> Object:
    spec: Object = workload(values)["spec"]["template"]["spec"]
    return spec


def container(values: Mapping[str, Any]) -> Object:
    found: Object = pod(values)["containers"][0]
    return found


def environ(values: Mapping[str, Any]) -> dict[str, str]:
    """The variables of the gateway's container that have a value."""
    return {one["name"]: one["value"] for one in container(values)["env"] if "value" in one}


def pod_templates(found: list[Object]) -> Iterator[Object]:
    """Every pod that the objects make."""
    for one in found:
        if one["kind"] == "Pod":
            yield one
        elif "template" in one.get("spec", {}):
            yield one["spec"]["template"]


def refusal(values: Mapping[str, Any], name: str = RELEASE) -> str:
    """What Helm says where it refuses to render."""
    with pytest.raises(helm.HelmError) as refused:
        texts(values, name)
    return str(refused.value)


def changed(values: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The values with one of them set, such as `image.tag`."""
    whole = copy.deepcopy(dict(values))
    *above, last = path.split(".")
    tree = whole
    for key in above:
        tree = tree.setdefault(key, {})
    tree[last] = value
    return whole
