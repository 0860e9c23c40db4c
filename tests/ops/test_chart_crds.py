"""Objects of CRDs, by the schemas of their makers: values, and fields that are not theirs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import charts  # noqa: F401  (the path of tests/chart)
import pytest
from chart_values import MATRIX, SHARED
from charted import Object, changed, objects

import chart_tools  # scripts/chart_tools.py

pytestmark = [
    pytest.mark.ops,
    pytest.mark.skipif(
        not chart_tools.is_ready(chart_tools.CRDS, chart_tools.crds_digest()),
        reason="MISSING: the schemas of CRDs: run scripts/chart_tools.py, which needs npm",
    ),
]

PACKAGES = {
    "monitoring.coreos.com/v1": "prometheus-operator/monitoring.coreos.com/v1",
    "gateway.networking.k8s.io/v1": "gateway-api/gateway.networking.k8s.io/v1",
}
TSC = ("--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--target", "es2022")


def rendered() -> list[Object]:
    """All objects of CRDs that any of the values of tests/chart brings."""
    metrics = {key: MATRIX["metrics"]["metrics"][key] for key in ("prometheusRule", "dashboards")}
    pods = SHARED | {"metrics": metrics | {"podMonitor": {"enabled": True}}}
    route = MATRIX["gateway api"]
    more = [
        pods,
        changed(route, "httpRoute.timeouts", {"request": "10m", "backendRequest": "1m30s"}),
    ]
    return [
        one
        for values in (*MATRIX.values(), *more)
        for one in objects(values)
        if one["apiVersion"] in PACKAGES
    ]


def complaints(found: list[Object]) -> list[str]:
    """What the schemas say, a line for each object; empty where it is valid."""
    done = subprocess.run(
        [shutil.which("node") or "node", "validate.mjs"],
        cwd=chart_tools.CRDS,
        input=json.dumps(found),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def unknown_fields(found: list[Object], folder: Path) -> str:
    """What TypeScript says of the objects as literals of their types: fields that no type has.

    A schema of a CRD lets unknown fields pass, as the API server drops them in silence."""
    lines = []
    for number, one in enumerate(found):
        package = f"@kubernetes-models/{PACKAGES[one['apiVersion']]}/{one['kind']}"
        kind = f"I{one['kind']}"
        lines.append(f'import type {{ {kind} as Type{number} }} from "{package}";')
        lines.append(f"export const object{number}: Type{number} = {json.dumps(one)};")
    file = folder / "objects.ts"
    file.write_text("\n".join(lines))
    tsc = chart_tools.CRDS / "node_modules" / ".bin" / "tsc"
    done = subprocess.run(
        [tsc, *TSC, "--moduleResolution", "bundler", file],
        cwd=chart_tools.CRDS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 2), done.stderr
    return done.stdout


@pytest.fixture
def folder() -> Path:
    """Where TypeScript finds the packages."""
    made = chart_tools.CRDS / "checked"
    made.mkdir(exist_ok=True)
    return made


def test_every_object_is_as_its_schema_wants_it() -> None:
    found = rendered()
    assert {one["kind"] for one in found} >= {"ServiceMonitor", "PodMonitor", "HTTPRoute"}
    assert complaints(found) == [""] * len(found)


def test_no_object_has_a_field_that_its_type_does_not_know(folder: Path) -> None:
    assert unknown_fields(rendered(), folder) == ""


def spoilt(kind: str, path: list[Any], value: Any) -> Object:
    (*_, one) = [one for one in rendered() if one["kind"] == kind]
    *above, last = path
    place = one
    for key in above:
        place = place[key]
    place[last] = value
    return one


def test_a_wrong_value_would_be_told() -> None:
    one = spoilt("ServiceMonitor", ["spec", "endpoints", 0, "interval"], "often")
    (told,) = complaints([one])
    assert "interval must match pattern" in told
    one = spoilt("HTTPRoute", ["spec", "rules", 0, "timeouts", "request"], 5)
    (told,) = complaints([one])
    assert "timeouts/request must be string" in told


def test_an_unknown_field_would_be_told(folder: Path) -> None:
    one = spoilt("PodMonitor", ["spec", "podMetricsEndpoints", 0, "intervall"], "30s")
    told = unknown_fields([one], folder)
    assert '"intervall"' in told
    assert "does not exist in type" in told
