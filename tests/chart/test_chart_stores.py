"""SQLite or Postgres, alone or with Redis: which workload, which volume, who migrates."""

from __future__ import annotations

import re
from typing import Any

import pytest
from chart_values import MATRIX
from charted import (
    PEPPER,
    POSTGRES,
    SHARED,
    changed,
    container,
    environ,
    kinds,
    notes,
    objects,
    of_kind,
    pod,
    the,
    workload,
)

from gateway import __version__


def test_sqlite_is_one_pod_with_a_volume_that_outlives_the_release() -> None:
    found = workload(PEPPER)
    assert (found["kind"], found["spec"]["replicas"]) == ("StatefulSet", 1)
    assert found["spec"]["podManagementPolicy"] == "Parallel"
    assert found["spec"]["serviceName"] == the(PEPPER, "Service", "-ops")["metadata"]["name"]
    claim = the(PEPPER, "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "storageClassName" not in claim["spec"]
    used = {"claimName": claim["metadata"]["name"]}
    assert {"name": "data", "persistentVolumeClaim": used} in pod(PEPPER)["volumes"]
    mounts = {one["name"]: one["mountPath"] for one in container(PEPPER)["volumeMounts"]}
    url = environ(PEPPER)["GATEWAY_DATABASE_URL"]
    assert url.removeprefix("sqlite:///").startswith(mounts["data"] + "/")


def test_the_volume_is_yours_or_none_if_you_say_so() -> None:
    own = MATRIX["embedded, own claim"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}} in pod(own)["volumes"]
    none = MATRIX["embedded, nothing kept"]
    assert {"name": "data", "emptyDir": {}} in pod(none)["volumes"]
    assert "PersistentVolumeClaim" not in kinds(own) | kinds(none)
    shown = the(MATRIX["embedded, classes"], "PersistentVolumeClaim")["spec"]
    assert shown == {
        "accessModes": ["ReadWriteOncePod"],
        "storageClassName": "",
        "resources": {"requests": {"storage": "1.5Ti"}},
    }
    free = PEPPER | {"persistence": {"retain": False, "annotations": {"a": "b"}}}
    assert the(free, "PersistentVolumeClaim")["metadata"]["annotations"] == {"a": "b"}


def test_sqlite_is_migrated_by_the_gateway_itself() -> None:
    assert "Job" not in kinds(PEPPER)
    assert "initContainers" not in pod(PEPPER)


def test_postgres_alone_is_one_pod_that_is_stopped_before_the_next() -> None:
    """Without Redis it counts for itself, and a second gateway would refuse to start."""
    found = workload(POSTGRES)
    assert found["kind"] == "Deployment"
    assert found["spec"]["strategy"] == {"type": "Recreate"}
    assert found["spec"]["replicas"] == 1
    assert "GATEWAY_REDIS_URL" not in {one["name"] for one in container(POSTGRES)["env"]}


def test_with_redis_pods_are_replaced_one_by_one() -> None:
    found = workload(SHARED)["spec"]
    assert found["replicas"] == 3
    assert found["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": 0}
    assert not {"PersistentVolumeClaim", "StatefulSet"} & kinds(SHARED)
    assert "replicas" not in workload(MATRIX["scaled"])["spec"], "they are the autoscaler's"


def test_a_release_may_be_scaled_to_nothing() -> None:
    """Before a database is put back from its backup."""
    assert workload(SHARED | {"replicaCount": 0})["spec"]["replicas"] == 0
    assert workload(PEPPER | {"replicaCount": 0})["spec"]["replicas"] == 0


def job(values: dict[str, Any]) -> dict[str, Any]:
    return the(values, "Job")


def test_a_job_named_by_version_migrates_and_pods_wait_for_it() -> None:
    found = job(SHARED)
    name = found["metadata"]["name"]
    slug = __version__.replace(".", "-")
    assert re.fullmatch(rf"gw-completion-gateway-migrate-{slug}-[0-9a-f]{{8}}", name)
    assert "annotations" not in found["metadata"], "it is no hook"
    (migrate,) = found["spec"]["template"]["spec"]["containers"]
    (waiting,) = pod(SHARED)["initContainers"]
    assert migrate["args"] == ["migrate"]
    assert waiting["args"] == ["migrate", "--wait", "--timeout-seconds", "600"]
    for key in ("env", "image", "securityContext", "volumeMounts"):
        assert migrate[key] == waiting[key]
    assert [one["name"] for one in migrate["env"]] == ["GATEWAY_DATABASE_URL"]
    assert workload(SHARED)["spec"]["progressDeadlineSeconds"] > 600


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("image.tag", "0.2.0"),
        ("image.digest", "sha256:" + "b" * 64),
        ("database.existingSecret", "other"),
        ("extraEnv", [{"name": "A", "value": "b"}]),
        ("migrations.resources", {"limits": {"memory": "1Gi"}}),
        ("nodeSelector", {"a": "b"}),
        ("commonLabels", {"a": "b"}),
        ("migrations.podAnnotations", {"a": "b"}),
    ],
)
def test_a_job_that_would_change_has_another_name(path: str, value: Any) -> None:
    """A Job cannot be changed: Helm would fail with `field is immutable`."""
    one, other = job(SHARED), job(changed(SHARED, path, value))
    assert one["spec"] != other["spec"]
    assert one["metadata"]["name"] != other["metadata"]["name"]


@pytest.mark.parametrize("path", ["replicaCount", "settings.GATEWAY_REQUESTS_MAX"])
def test_a_job_that_stays_as_it_is_is_not_run_again(path: str) -> None:
    assert job(changed(SHARED, path, 5)) == job(SHARED)


def test_as_a_hook_it_runs_before_and_needs_nothing_that_the_chart_makes() -> None:
    values = MATRIX["hook"]
    found = job(values)
    assert found["metadata"]["annotations"] == {
        "helm.sh/hook": "pre-install,pre-upgrade",
        "helm.sh/hook-weight": "-5",
        "helm.sh/hook-delete-policy": "before-hook-creation",
    }
    assert found["metadata"]["name"] == "gw-completion-gateway-migrate", "else it is never deleted"
    spec = found["spec"]["template"]["spec"]
    assert "serviceAccountName" not in spec
    own = {one["metadata"]["name"] for one in objects(values) if one["kind"] != "Job"}
    assert not own & {
        one["valueFrom"]["secretKeyRef"]["name"] for one in spec["containers"][0]["env"]
    }
    mine = values | {"serviceAccount": {"create": False, "name": "mine"}}
    assert job(mine)["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


def test_migrations_may_be_yours_and_waiting_left_out() -> None:
    by_hand = MATRIX["migrated by hand"]
    assert "Job" not in kinds(by_hand)
    assert [one["name"] for one in pod(by_hand)["initContainers"]] == ["wait-for-schema"]
    assert "until you have migrated the database" in notes(by_hand)
    assert "initContainers" not in pod(MATRIX["no waiting"])


def test_what_people_add_to_the_job_is_there() -> None:
    values = MATRIX["everything"]
    found = job(values)
    wanted = values["migrations"]
    assert found["metadata"]["annotations"].items() >= wanted["annotations"].items()
    template = found["spec"]["template"]
    assert template["metadata"]["annotations"] == wanted["podAnnotations"]
    assert template["metadata"]["labels"]["job"] == "yes"
    assert found["spec"]["ttlSecondsAfterFinished"] == 86400
    (migrate,) = template["spec"]["containers"]
    assert {"name": "ANSWER", "value": "42"} in migrate["env"]
    assert migrate["envFrom"] == values["extraEnvFrom"]
    assert "ca" in {one["name"] for one in migrate["volumeMounts"]}
    assert "ca" in {one["name"] for one in template["spec"]["volumes"]}
    kept = job(SHARED)["spec"]
    assert "ttlSecondsAfterFinished" not in kept


def test_only_one_pod_has_no_budget_as_it_would_block_every_drain() -> None:
    for values in (PEPPER, POSTGRES, SHARED | {"replicaCount": 1}):
        assert "PodDisruptionBudget" not in kinds(values)
    assert the(SHARED, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert "PodDisruptionBudget" in kinds(MATRIX["scaled"])
    assert "PodDisruptionBudget" not in kinds(SHARED | {"podDisruptionBudget": {"enabled": False}})
    least = the(MATRIX["everything"], "PodDisruptionBudget")["spec"]
    assert least["minAvailable"] == "50%"
    assert "maxUnavailable" not in least
    assert least["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_the_autoscaler_goes_up_at_once_and_down_slowly() -> None:
    scaler = the(MATRIX["scaled"], "HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": workload(SHARED)["metadata"]["name"],
    }
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 10)
    assert {one["resource"]["name"] for one in scaler["metrics"]} == {"cpu", "memory"}
    down = scaler["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] >= 600
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 120}]
    own = changed(MATRIX["scaled"], "autoscaling", {
        "enabled": True,
        "targetCPUUtilizationPercentage": None,
        "metrics": [{"type": "Pods", "pods": {"metric": {"name": "inflight"}}}],
    })  # fmt: skip
    found = the(own, "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert [one["type"] for one in found] == ["Pods"]


def test_there_is_nothing_of_the_migration_with_sqlite() -> None:
    values = PEPPER | {"networkPolicy": {"enabled": True}, "migrations": {"mode": "hook"}}
    assert not of_kind(objects(values), "NetworkPolicy", "-migration")
    assert "Job" not in kinds(values)
