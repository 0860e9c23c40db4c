"""Values that people set, by name: each must render and be valid on every supported Kubernetes."""

from __future__ import annotations

from typing import Any

from charted import PEPPER, POSTGRES, SHARED

POLICY = """\
upstreams: {simulator: {simulated: true}}
models: {echo: {upstream: simulator, endpoints: [chat], context: 1000, max_output: 100}}
redaction: {none: {entities: {}}}
organizations: {acme: {projects: {web: {models: [echo], redaction: none}}}}
"""
URL = "postgresql://gateway:p%40ss@pg-rw.llm:5432/gateway"
SECRET = "0123456789abcdef0123456789abcdef"

CONTAINER = {"name": "side", "image": "busybox:1.37", "command": ["sleep", "inf"]}
EVERYTHING = SHARED | {
    "commonLabels": {"team": "1"},
    "commonAnnotations": {"owner": "yes"},
    "imagePullSecrets": [{"name": "registry"}],
    "image": {"digest": "sha256:" + "a" * 64},
    "policies": {"existingConfigMap": "policies"},
    "upstreamKeys": {"existingSecret": "providers"},
    "podLabels": {"pod": "true"},
    "podAnnotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "llm", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [
        {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "priorityClassName": "high",
    "runtimeClassName": "gvisor",
    "schedulerName": "other",
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.10"], "options": [{"name": "ndots", "value": "1"}]},
    "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["pg"]}],
    "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
    "extraArgs": ["--log-level", "debug", "--requests-max", 2000],
    "extraEnv": [{"name": "ANSWER", "value": "42"}],
    "extraEnvFrom": [{"configMapRef": {"name": "more"}}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    "extraContainers": [CONTAINER],
    "extraInitContainers": [CONTAINER],
    "extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-one"}},
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}-two"}\n',
    ],
    "migrations": {
        "annotations": {"argocd.argoproj.io/sync-wave": "-1"},
        "podAnnotations": {"sidecar.istio.io/inject": "false"},
        "podLabels": {"job": "yes"},
        "ttlSecondsAfterFinished": 86400,
    },
    "service": {
        "type": "LoadBalancer",
        "port": 8443,
        "nodePort": 30080,
        "loadBalancerClass": "example.com/internal",
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
        "externalTrafficPolicy": "Local",
        "ipFamilyPolicy": "PreferDualStack",
        "annotations": {"example.com/idle-timeout": "3600"},
        "labels": {"tier": "1"},
    },
    "serviceAccount": {"annotations": {"example.com/role": "reader"}},
    "settings": {"GATEWAY_REQUESTS_MAX": 1_000_000, "GATEWAY_REDACTION_DEBUG": True},
    "podDisruptionBudget": {"maxUnavailable": None, "minAvailable": "50%"},
}

MATRIX: dict[str, dict[str, Any]] = {
    "embedded": PEPPER,
    "embedded, nothing kept": PEPPER | {"persistence": {"enabled": False}},
    "embedded, own claim": PEPPER | {"persistence": {"existingClaim": "mine"}},
    "embedded, classes": PEPPER
    | {"persistence": {"storageClass": "", "accessModes": ["ReadWriteOncePod"], "size": "1.5Ti"}},
    "chart's secrets": {
        "pepper": {"value": SECRET},
        "database": {"type": "postgresql", "url": URL},
        "redis": {"enabled": True, "url": "rediss://:pass@valkey:6379/0"},
        "upstreamKeys": {"values": {"OPENAI_API_KEY": "sk-1", "OTHER_KEY": "yes"}},
        "policies": {"files": {"acme.yaml": POLICY}},
    },
    "postgres alone": POSTGRES,
    "scaled": SHARED | {"autoscaling": {"enabled": True, "targetMemoryUtilizationPercentage": 80}},
    "hook": SHARED | {"migrations": {"mode": "hook"}},
    "migrated by hand": SHARED | {"migrations": {"mode": "none"}},
    "no waiting": SHARED | {"migrations": {"waitForSchema": {"enabled": False}}},
    "network policy": SHARED | {"networkPolicy": {"enabled": True}},
    "network policy, embedded": PEPPER | {"networkPolicy": {"enabled": True}},
    "ingress": SHARED
    | {
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-read-timeout": "3600"},
            "hosts": [{"host": "llm.example.com"}, {"host": "b", "paths": [{"path": "/v1"}]}],
            "tls": [{"secretName": "llm-tls", "hosts": ["llm.example.com"]}],
        }
    },
    "gateway api": SHARED
    | {
        "httpRoute": {
            "enabled": True,
            "parentRefs": [{"name": "public", "namespace": "ingress", "sectionName": "https"}],
            "hostnames": ["llm.example.com"],
            "filters": [
                {
                    "type": "ResponseHeaderModifier",
                    "responseHeaderModifier": {"set": [{"name": "x", "value": "y"}]},
                }
            ],
        }
    },
    "metrics": SHARED
    | {
        "metrics": {
            "serviceMonitor": {
                "enabled": True,
                "labels": {"release": "kps"},
                "metricRelabelings": [
                    {"action": "drop", "sourceLabels": ["__name__"], "regex": ".*_bucket"}
                ],
            },
            "prometheusRule": {"enabled": True, "labels": {"release": "kps"}},
            "dashboards": {"enabled": True, "folder": "LLM", "namespace": "monitoring"},
        }
    },
    "metrics of pods": PEPPER
    | {
        "metrics": {
            "podMonitor": {
                "enabled": True,
                "namespace": "monitoring",
                "relabelings": [{"targetLabel": "cluster", "replacement": "a"}],
            }
        }
    },
    "users of the platform": PEPPER
    | {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}},
    "everything": EVERYTHING,
}
