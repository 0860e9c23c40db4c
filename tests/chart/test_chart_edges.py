"""How requests come in, what goes out, and what `helm install` says at its end."""

from __future__ import annotations

from typing import Any

import pytest
from chart_values import MATRIX
from charted import PEPPER, POSTGRES, SHARED, changed, container, kinds, notes, objects, the

POLICED = SHARED | {"networkPolicy": {"enabled": True}}


def test_an_ingress_leads_each_host_to_the_api() -> None:
    found = the(MATRIX["ingress"], "Ingress")
    backend = {"service": {"name": "gw-completion-gateway", "port": {"name": "http"}}}
    assert found["spec"] == {
        "ingressClassName": "nginx",
        "rules": [
            {
                "host": host,
                "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]},
            }
            for host, path in (("llm.example.com", "/"), ("b", "/v1"))
        ],
        "tls": [{"secretName": "llm-tls", "hosts": ["llm.example.com"]}],
    }
    annotations = found["metadata"]["annotations"]
    assert annotations == {"nginx.ingress.kubernetes.io/proxy-read-timeout": "3600"}
    assert (
        "ingressClassName"
        not in the(changed(MATRIX["ingress"], "ingress.className", None), "Ingress")["spec"]
    )


def test_a_route_of_the_gateway_api_has_no_time_out_of_its_own() -> None:
    found = the(MATRIX["gateway api"], "HTTPRoute")["spec"]
    (rule,) = found["rules"]
    assert found["parentRefs"] == MATRIX["gateway api"]["httpRoute"]["parentRefs"]
    assert found["hostnames"] == ["llm.example.com"]
    assert rule["backendRefs"] == [{"name": "gw-completion-gateway", "port": 80}]
    assert rule["timeouts"] == {"request": "0s"}
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert rule["filters"][0]["type"] == "ResponseHeaderModifier"
    bare = changed(MATRIX["gateway api"], "httpRoute.timeouts", None)
    assert "timeouts" not in the(bare, "HTTPRoute")["spec"]["rules"][0]


def test_the_service_is_as_people_want_it() -> None:
    found = the(MATRIX["everything"], "Service", "gateway")
    assert found["metadata"]["annotations"]["example.com/idle-timeout"] == "3600"
    assert found["metadata"]["labels"]["tier"] == "1"
    spec = found["spec"]
    assert spec["ports"][0]["port"] == 8443
    assert (spec["type"], spec["ports"][0]["nodePort"]) == ("LoadBalancer", 30080)
    assert spec["loadBalancerClass"] == "example.com/internal"
    assert spec["loadBalancerSourceRanges"] == ["10.0.0.0/8"]
    assert spec["externalTrafficPolicy"] == "Local"
    inside = the(changed(MATRIX["everything"], "service.type", "ClusterIP"), "Service", "gateway")
    assert inside["spec"].keys() == {"type", "ipFamilyPolicy", "ports", "selector"}
    assert "nodePort" not in inside["spec"]["ports"][0]
    plain = the(SHARED, "Service", "gateway")["spec"]
    assert (plain["type"], plain["ports"][0]["port"]) == ("ClusterIP", 80)
    assert "nodePort" not in plain["ports"][0]


def ports_to(rules: list[dict[str, Any]]) -> dict[tuple[int, ...], Any]:
    """Peers by ports; None is everybody."""
    return {
        tuple(port["port"] for port in rule["ports"]): rule.get("to", rule.get("from"))
        for rule in rules
    }


def test_what_may_leave_is_names_the_stores_and_providers_outside() -> None:
    rules = ports_to(the(POLICED, "NetworkPolicy", "gateway")["spec"]["egress"])
    assert rules.keys() == {(53, 53), (5432,), (6379,), (443,)}
    assert rules[(53, 53)][0]["namespaceSelector"]
    assert rules[(5432,)] is None
    outside = rules[(443,)][0]["ipBlock"]
    assert outside["cidr"] == "0.0.0.0/0"
    assert "169.254.0.0/16" in outside["except"], "the cloud's metadata give away its keys"
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} <= set(outside["except"])


def test_what_is_not_used_may_not_be_reached() -> None:
    embedded = the(MATRIX["network policy, embedded"], "NetworkPolicy", "gateway")["spec"]["egress"]
    assert ports_to(embedded).keys() == {(53, 53), (443,)}
    alone = the(POSTGRES | {"networkPolicy": {"enabled": True}}, "NetworkPolicy", "gateway")
    assert ports_to(alone["spec"]["egress"]).keys() == {(53, 53), (443,), (5432,)}


def test_metrics_are_for_the_monitoring_and_helm_s_test_only() -> None:
    spec = the(POLICED, "NetworkPolicy", "gateway")["spec"]
    api, ops, test = spec["ingress"]
    assert ports_to([api]) == {(8080,): None}
    assert ports_to([ops])[(9090,)] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ]
    (peer,) = ports_to([test])[(9090,)]
    labels = the(POLICED, "Pod")["metadata"]["labels"]
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    ports = {one["containerPort"] for one in container(POLICED)["ports"]}
    assert ports == {8080, 9090}


def test_the_migration_may_reach_the_database_only_and_nobody_it() -> None:
    found = the(POLICED, "NetworkPolicy", "-migration")["spec"]
    assert "ingress" not in found
    assert found["policyTypes"] == ["Ingress", "Egress"]
    assert ports_to(found["egress"]).keys() == {(53, 53), (5432,)}
    pod = the(POLICED, "Job")["spec"]["template"]["metadata"]["labels"]
    assert found["podSelector"]["matchLabels"].items() <= pod.items()


def test_each_rule_can_be_made_narrower_and_others_added() -> None:
    peer = {"podSelector": {"matchLabels": {"cnpg.io/cluster": "pg"}}}
    extra = {"ports": [{"port": 8000}], "to": [{"podSelector": {}}]}
    values = SHARED | {
        "networkPolicy": {
            "enabled": True,
            "ingress": {"api": [peer], "extra": [{"from": [peer]}]},
            "egress": {"database": [peer], "databasePorts": [5432, 6432], "extra": [extra]},
        }
    }
    spec = the(values, "NetworkPolicy", "gateway")["spec"]
    assert ports_to(spec["egress"][:-1])[(5432, 6432)] == [peer]
    assert spec["egress"][-1] == extra
    assert spec["ingress"][0]["from"] == [peer]
    assert spec["ingress"][-1] == {"from": [peer]}


def test_nothing_is_optional_by_what_the_cluster_happens_to_have() -> None:
    """A rendering by a pipeline knows no cluster, and must have the same objects."""
    optional = {"Ingress", "HTTPRoute", "NetworkPolicy", "ServiceMonitor", "PodMonitor"}
    optional |= {"PrometheusRule", "HorizontalPodAutoscaler", "PodDisruptionBudget", "ConfigMap"}
    assert not optional & kinds(PEPPER)


NEXT_STEPS = (
    "rollout status",
    "gateway key create --project",
    "curl -s $URL/v1/models",
    "helm test gw --namespace llm",
)


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_the_notes_tell_the_next_steps(values: dict[str, Any]) -> None:
    said = notes(values)
    assert [said.index(step) for step in NEXT_STEPS] == sorted(map(said.index, NEXT_STEPS))
    assert "<no value>" not in said
    assert "%!" not in said
    assert "\n\n\n" not in said


def test_the_notes_name_what_is_there() -> None:
    embedded, shared = notes(PEPPER), notes(SHARED)
    assert "rollout status statefulset/gw-completion-gateway" in embedded
    assert "rollout status deployment/gw-completion-gateway" in shared
    assert f"logs job/{the(SHARED, 'Job')['metadata']['name']}" in shared
    assert "port-forward service/gw-completion-gateway 8080:80" in embedded
    assert "URL=https://llm.example.com" in notes(MATRIX["ingress"])
    assert "URL=https://llm.example.com" in notes(MATRIX["gateway api"])
    assert "--project demo" in embedded
    assert "--project PROJECT" in notes(MATRIX["chart's secrets"])


@pytest.mark.parametrize(
    ("values", "said", "unsaid"),
    [
        (PEPPER, "an upgrade interrupts service", "WARNING"),
        (MATRIX["embedded, nothing kept"], "WARNING: persistence.enabled is false", "Postgres"),
        (POSTGRES, "Without Redis there is one pod only", "SQLite"),
        (SHARED, "metrics.serviceMonitor.enabled=true", "One pod only"),
        (SHARED | {"replicaCount": 1}, "One pod only: replicaCount=2", "interrupts"),
        (SHARED, "copy of the Secret gateway-pepper", "release's values"),
        (MATRIX["chart's secrets"], "The pepper is in the release's values", "is simulated"),
        (PEPPER, "what the image's policy calls OpenAI is simulated", "PROJECT"),
        (MATRIX["metrics"], "networkPolicy.enabled=true", "serviceMonitor"),
        (POLICED, "serviceMonitor", "networkPolicy.enabled"),
    ],
)
def test_the_notes_say_what_is_not_yet_as_it_should_be(
    values: dict[str, Any], said: str, unsaid: str
) -> None:
    assert said in notes(values)
    assert unsaid not in notes(values)


def test_helm_test_asks_whether_it_is_ready() -> None:
    found = the(SHARED, "Pod")
    assert found["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (one,) = found["spec"]["containers"]
    assert "http://gw-completion-gateway-ops:9090/readyz" in one["command"][-1]
    compile(one["command"][-1], "test", "exec")
    assert the(SHARED, "Service", "-ops") in objects(SHARED)
