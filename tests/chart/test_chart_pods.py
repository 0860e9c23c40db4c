"""The pods: what they run, as whom, with which secrets, and how they start and stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chart_values import MATRIX, POLICY, SECRET
from charted import (
    PEPPER,
    POSTGRES,
    SHARED,
    changed,
    container,
    environ,
    kinds,
    objects,
    of_kind,
    pod,
    pod_templates,
    the,
    workload,
)
from typer.testing import CliRunner

import reference  # scripts/reference.py
from gateway.cli.main import app
from gateway.cli.serve import _check_writable
from gateway.edge.server import LAST_WORDS_SECONDS
from gateway.settings import load

matrix = pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)


def ours(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """The containers that are the chart's."""
    found = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())]
    return [one for one in found if one["name"] != "side"]


@matrix
def test_every_pod_fits_the_restricted_pod_security_standard(values: dict[str, Any]) -> None:
    for one in pod_templates(objects(values)):
        security = one["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert one["spec"]["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & one["spec"].keys()
        for found in ours(one):
            assert found["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} <= found["resources"].keys()
        assert all("hostPath" not in volume for volume in one["spec"].get("volumes", ()))


@matrix
def test_a_service_named_gateway_sets_no_setting(values: dict[str, Any]) -> None:
    """Kubernetes would set GATEWAY_PORT=tcp://10.0.0.1:80 in every pod of its namespace."""
    assert all(one["spec"]["enableServiceLinks"] is False for one in pod_templates(objects(values)))


@matrix
def test_the_gateway_understands_its_variables_and_arguments(values: dict[str, Any]) -> None:
    settings = load({}, environ(values))
    assert (settings.host, settings.ops_host) == ("0.0.0.0", "0.0.0.0")
    ports = {one["name"]: one["containerPort"] for one in container(values)["ports"]}
    assert ports == {"http": settings.port, "ops": settings.ops_port}
    commands = {name.removeprefix("gateway "): one for name, one in reference.commands()}
    for one in pod_templates(objects(values)):
        for found in ours(one):
            if "args" in found:
                command, *words = found["args"]
                known = {option for part in commands[command].params for option in part.opts}
                assert {word for word in words if word.startswith("--")} <= known


def test_what_the_init_container_runs_is_a_wait(tmp_path: Path) -> None:
    (waiting,) = pod(changed(SHARED, "migrations.waitForSchema.timeoutSeconds", 1))[
        "initContainers"
    ]
    assert waiting["name"] == "wait-for-schema"
    url = f"sqlite:///{tmp_path}/x.db"
    done = CliRunner().invoke(app, waiting["args"], env={"GATEWAY_DATABASE_URL": url})
    assert done.exit_code == 3
    assert "not those of this version after 1 seconds" in done.output


def test_the_log_of_the_simulator_is_no_file_that_grows() -> None:
    log = environ(PEPPER)["GATEWAY_SIMULATOR_LOG"]
    _check_writable(Path(log))
    assert log == "/dev/null"
    own = environ(PEPPER | {"settings": {"GATEWAY_SIMULATOR_LOG": "/app/var/simulator.jsonl"}})
    assert own["GATEWAY_SIMULATOR_LOG"] == "/app/var/simulator.jsonl"


@pytest.mark.parametrize(
    ("shutdown", "seconds"),
    [
        ({}, 15 + 600 + 30),
        ({"drainSeconds": 5.5, "graceSeconds": 60}, 6 + 60 + 30),
        ({"terminationGracePeriodSeconds": 900}, 900),
    ],
)
def test_a_pod_is_not_killed_before_the_gateway_has_drained(
    shutdown: dict[str, Any], seconds: int
) -> None:
    values = PEPPER | {"shutdown": shutdown}
    settings = load({}, environ(values))
    granted = pod(values)["terminationGracePeriodSeconds"]
    assert granted == seconds
    assert granted > (settings.drain_seconds + settings.shutdown_grace_seconds + LAST_WORDS_SECONDS)


def test_a_pod_may_finish_the_longest_stream_of_the_default_policy() -> None:
    longest = 600  # total_timeout: 10m
    assert load({}, environ(PEPPER)).shutdown_grace_seconds >= longest


def test_the_probes_ask_the_operations_port() -> None:
    found = container(PEPPER)
    paths = {name: found[name]["httpGet"]["path"] for name in found if name.endswith("Probe")}
    assert paths == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    assert all(found[name]["httpGet"]["port"] == "ops" for name in paths)
    start = found["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] > load({}, {}).ner_load_seconds
    without = container(PEPPER | {"livenessProbe": None})
    assert "livenessProbe" not in without


def secret_of(values: dict[str, Any], variable: str) -> tuple[str, str]:
    (one,) = [one for one in container(values)["env"] if one["name"] == variable]
    found = one["valueFrom"]["secretKeyRef"]
    return found["name"], found["key"]


def test_secrets_come_out_of_your_secrets() -> None:
    values = SHARED | {
        "pepper": {"existingSecret": "vault", "existingSecretKey": "salt"},
        "upstreamKeys": {"existingSecret": "providers"},
    }
    assert secret_of(values, "GATEWAY_PEPPER") == ("vault", "salt")
    assert secret_of(values, "GATEWAY_DATABASE_URL") == ("pg-app", "uri")
    assert secret_of(values, "GATEWAY_REDIS_URL") == ("valkey", "url")
    assert container(values)["envFrom"] == [{"secretRef": {"name": "providers"}}]
    assert "Secret" not in kinds(values)


def test_secrets_in_values_are_in_secrets_only() -> None:
    values = MATRIX["chart's secrets"]
    found = objects(values)
    own = {one["metadata"]["name"]: one["stringData"] for one in of_kind(found, "Secret")}
    assert own == {
        "gw-completion-gateway": {
            "pepper": SECRET,
            "database-url": values["database"]["url"],
            "redis-url": values["redis"]["url"],
        },
        "gw-completion-gateway-upstreams": {"OPENAI_API_KEY": "sk-1", "OTHER_KEY": "yes"},
    }
    for name in ("GATEWAY_PEPPER", "GATEWAY_DATABASE_URL", "GATEWAY_REDIS_URL"):
        secret, key = secret_of(values, name)
        assert own[secret][key]
    elsewhere = [str(one) for one in found if one["kind"] != "Secret"]
    assert not any(text in one for one in elsewhere for text in (SECRET, "p%40ss", "sk-1"))


def template(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workload(values)["spec"]["template"]
    return found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("pepper.value", SECRET[::-1]),
        ("database.url", "postgresql://other@pg/x"),
        ("redis.url", "redis://other"),
        ("upstreamKeys.values", {"OPENAI_API_KEY": "sk-2"}),
        ("settings.GATEWAY_LOG_LEVEL", "debug"),
        ("settings.GATEWAY_POLICY_RELOAD", "off"),
        ("shutdown.drainSeconds", 20),
    ],
)
def test_what_is_read_at_the_start_replaces_the_pods(path: str, value: Any) -> None:
    values = MATRIX["chart's secrets"]
    assert template(changed(values, path, value)) != template(values)


def test_a_checksum_follows_secrets_and_tells_nothing_of_them() -> None:
    values = MATRIX["chart's secrets"]
    one = template(values)["metadata"]["annotations"]["checksum/config"]
    other = template(changed(values, "redis.url", "redis://other"))
    assert len(one) == 64
    assert other["metadata"]["annotations"]["checksum/config"] != one


def test_a_changed_policy_replaces_no_pod_as_it_is_taken_over_by_itself() -> None:
    values = MATRIX["chart's secrets"]
    other = changed(values, "policies.files", {"acme.yaml": POLICY + "# more\n"})
    assert template(other) == template(values)
    assert the(other, "ConfigMap") != the(values, "ConfigMap")
    (mount,) = [one for one in container(values)["volumeMounts"] if one["name"] == "policies"]
    assert "subPath" not in mount, "what is mounted so is never changed"
    assert mount["mountPath"] == environ(values)["GATEWAY_POLICIES"]


@pytest.mark.parametrize("off", ["off", False])
def test_where_policies_are_not_watched_a_change_replaces_the_pods(off: Any) -> None:
    values = changed(MATRIX["chart's secrets"], "settings.GATEWAY_POLICY_RELOAD", off)
    other = changed(values, "policies.files", {"acme.yaml": POLICY + "# more\n"})
    assert template(other) != template(values)


def test_policies_are_those_of_the_image_or_a_config_map() -> None:
    assert environ(PEPPER)["GATEWAY_POLICIES"] == "/app/policies"
    assert the(MATRIX["chart's secrets"], "ConfigMap")["data"] == {"acme.yaml": POLICY}
    own = PEPPER | {"policies": {"existingConfigMap": "mine"}}
    assert {"name": "policies", "configMap": {"name": "mine"}} in pod(own)["volumes"]
    assert "ConfigMap" not in kinds(own)


def test_a_digest_wins_over_a_tag_and_a_tag_over_the_version() -> None:
    from gateway import __version__

    assert container(PEPPER)["image"] == f"completion-gateway:{__version__}"
    tagged = PEPPER | {"image": {"repository": "registry.example.com:5000/llm/gw", "tag": "1.10"}}
    assert container(tagged)["image"] == "registry.example.com:5000/llm/gw:1.10"
    assert template(tagged)["metadata"]["labels"]["app.kubernetes.io/version"] == "1.10"
    digest = "sha256:" + "0" * 64
    both = changed(tagged, "image.digest", digest)
    images = {one["image"] for found in pod_templates(objects(both)) for one in ours(found)}
    assert images == {f"registry.example.com:5000/llm/gw@{digest}"}


def test_what_people_add_to_pods_is_there() -> None:
    values = MATRIX["everything"]
    spec, found = pod(values), container(values)
    assert found["args"] == ["serve", "--log-level", "debug", "--requests-max", "2000"]
    assert [one["name"] for one in spec["containers"]] == ["gateway", "side"]
    assert [one["name"] for one in spec["initContainers"]] == ["side", "wait-for-schema"]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    for key in ("nodeSelector", "tolerations", "affinity", "dnsConfig", "hostAliases"):
        assert spec[key] == values[key]
    for key in ("priorityClassName", "runtimeClassName", "schedulerName", "dnsPolicy"):
        assert spec[key] == values[key]
    assert found["lifecycle"] == values["lifecycle"]
    assert found["env"][-1] == {"name": "ANSWER", "value": "42"}
    metadata = template(values)["metadata"]
    assert metadata["labels"].items() >= {"team": "1", "pod": "true"}.items()
    assert metadata["annotations"].items() >= values["podAnnotations"].items()
    assert metadata["annotations"]["kubectl.kubernetes.io/default-container"] == "gateway"
    assert {"ca", "tmp"} <= {one["name"] for one in found["volumeMounts"]}
    assert {"gw-one", "gw-two"} <= {one["metadata"]["name"] for one in objects(values)}


def test_labels_of_people_never_replace_those_that_selectors_use() -> None:
    name = "app.kubernetes.io/name"
    values = PEPPER | {"podLabels": {name: "other"}, "commonLabels": {name: "other"}}
    for one in (workload(values), template(values), the(values, "PersistentVolumeClaim")):
        assert one["metadata"]["labels"][name] == "completion-gateway"


def test_pods_spread_over_zones_and_nodes_by_their_own_labels() -> None:
    selector = workload(SHARED)["spec"]["selector"]
    assert pod(SHARED)["topologySpreadConstraints"] == [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": selector,
            "matchLabelKeys": ["pod-template-hash"],
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
    own = {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway"}
    own |= {"labelSelector": {"matchLabels": {"a": "b"}}}
    values = SHARED | {"topologySpreadConstraints": [own]}
    assert pod(values)["topologySpreadConstraints"] == [own]
    assert "topologySpreadConstraints" not in pod(SHARED | {"topologySpreadConstraints": []})


def test_no_limit_of_cpu_halts_a_stream() -> None:
    assert container(PEPPER)["resources"]["limits"].keys() == {"memory"}


def test_what_is_null_is_left_out() -> None:
    """OpenShift gives users of its own."""
    security = pod(MATRIX["users of the platform"])["securityContext"]
    assert security == {
        "runAsNonRoot": True,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@pytest.mark.parametrize("values", [PEPPER, POSTGRES])
def test_the_account_is_the_chart_s_yours_or_none(values: dict[str, Any]) -> None:
    account = the(values, "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert pod(values)["serviceAccountName"] == account["metadata"]["name"]
    own = values | {"serviceAccount": {"create": False, "name": "mine"}}
    assert pod(own)["serviceAccountName"] == "mine"
    assert "ServiceAccount" not in kinds(own)
    none = values | {"serviceAccount": {"create": False}}
    assert pod(none)["serviceAccountName"] == "default"
