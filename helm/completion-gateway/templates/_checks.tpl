{{/* What the schema cannot say: values that contradict each other. Each message says what to do. */}}

{{- define "completion-gateway.checks" -}}
{{- include "completion-gateway.checkPepper" . }}
{{- include "completion-gateway.checkStores" . }}
{{- include "completion-gateway.checkReplicas" . }}
{{- include "completion-gateway.checkEdges" . }}
{{- end }}

{{- define "completion-gateway.checkPepper" -}}
{{- with .Values.pepper }}
{{- if and .value .existingSecret }}
{{- fail "pepper.value and pepper.existingSecret are both set: leave one of them empty" }}
{{- end }}
{{- if not (or .value .existingSecret) }}
{{- fail (printf "there is no pepper, the secret under which keys are hashed: kubectl --namespace %s create secret generic gateway-pepper --from-literal=pepper=\"$(openssl rand -hex 32)\", keep a copy of it, and set pepper.existingSecret=gateway-pepper" $.Release.Namespace) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "completion-gateway.checkStores" -}}
{{- range $name, $store := dict "database" .Values.database "redis" .Values.redis }}
{{- if and $store.url $store.existingSecret }}
{{- fail (printf "%s.url and %s.existingSecret are both set: leave one of them empty" $name $name) }}
{{- end }}
{{- end }}
{{- $database := or .Values.database.url .Values.database.existingSecret }}
{{- $redis := or .Values.redis.url .Values.redis.existingSecret }}
{{- if and (include "completion-gateway.isSqlite" .) $database }}
{{- fail "database.url or database.existingSecret is set, but database.type is sqlite: set database.type=postgresql" }}
{{- end }}
{{- if and (not (include "completion-gateway.isSqlite" .)) (not $database) }}
{{- fail "database.type is postgresql: set database.existingSecret to a Secret whose key `url` is postgresql://USER:PASSWORD@HOST/NAME (database.existingSecretKey names another key), or set database.url" }}
{{- end }}
{{- if and .Values.redis.enabled (include "completion-gateway.isSqlite" .) }}
{{- fail "redis.enabled needs database.type=postgresql: what several pods count in Redis, they must write into one database" }}
{{- end }}
{{- if and .Values.redis.enabled (not $redis) }}
{{- fail "redis.enabled is true: set redis.existingSecret to a Secret whose key `url` is redis://:PASSWORD@HOST:6379/0 (redis.existingSecretKey names another key), or set redis.url" }}
{{- end }}
{{- if and (not .Values.redis.enabled) $redis }}
{{- fail "redis.url or redis.existingSecret is set, but redis.enabled is false: set redis.enabled=true" }}
{{- end }}
{{- if and (eq .Values.migrations.mode "hook") .Values.database.url }}
{{- fail "migrations.mode=hook runs before the chart's Secrets are there: put the URL into a Secret of yours and set database.existingSecret in the place of database.url" }}
{{- end }}
{{- end }}

{{- define "completion-gateway.checkReplicas" -}}
{{- $wanted := int .Values.replicaCount }}
{{- if .Values.autoscaling.enabled }}{{ $wanted = int .Values.autoscaling.maxReplicas }}{{ end }}
{{- if and (gt $wanted 1) (include "completion-gateway.isSqlite" .) }}
{{- fail (printf "%d pods cannot share an SQLite file: set database.type=postgresql and redis.enabled=true, or replicaCount=1 and autoscaling.enabled=false" $wanted) }}
{{- end }}
{{- if and (gt $wanted 1) (not .Values.redis.enabled) }}
{{- fail (printf "%d pods need an account that they share: set redis.enabled=true, or replicaCount=1 and autoscaling.enabled=false" $wanted) }}
{{- end }}
{{- if and .Values.autoscaling.enabled (not (include "completion-gateway.isShared" .)) }}
{{- fail "autoscaling.enabled needs database.type=postgresql and redis.enabled=true: without them there is one pod only, and nothing to scale" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas" }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if and .enabled (not (or .targetCPUUtilizationPercentage .targetMemoryUtilizationPercentage .metrics)) }}
{{- fail "autoscaling.enabled needs something to scale by: set autoscaling.targetCPUUtilizationPercentage or autoscaling.metrics" }}
{{- end }}
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- if and .enabled (kindIs "invalid" .maxUnavailable) (kindIs "invalid" .minAvailable) }}
{{- fail "podDisruptionBudget needs maxUnavailable or minAvailable" }}
{{- end }}
{{- if and .enabled (not (kindIs "invalid" .maxUnavailable)) (not (kindIs "invalid" .minAvailable)) }}
{{- fail "podDisruptionBudget.maxUnavailable and minAvailable are both set: set the other one to null" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "completion-gateway.checkEdges" -}}
{{- $isOpsTls := has (get (.Values.settings | default dict) "GATEWAY_OPS_TLS" | toString) (list "on" "true") }}
{{- if and $isOpsTls (ne (dig "httpGet" "scheme" "HTTP" (.Values.readinessProbe | default dict)) "HTTPS") }}
{{- fail "settings.GATEWAY_OPS_TLS is on, but probes, monitors and helm test ask the operations port over HTTP, so that no pod would become ready: leave it off and let networkPolicy.ingress.ops say who reaches that port, or set httpGet.scheme=HTTPS of startupProbe, livenessProbe and readinessProbe and bring a monitor of your own (extraObjects)" }}
{{- end }}
{{- if not (regexMatch "^[a-z]" (include "completion-gateway.fullname" .)) }}
{{- fail (printf "the release %s begins with a digit, and a Service's name cannot: set fullnameOverride" .Release.Name) }}
{{- end }}
{{- if and .Values.policies.files .Values.policies.existingConfigMap }}
{{- fail "policies.files and policies.existingConfigMap are both set: leave one of them empty" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.enabled needs hosts: ingress.hosts[0].host=llm.example.com" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled needs a Gateway: httpRoute.parentRefs[0].name=NAME" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled }}
{{- fail "metrics.serviceMonitor and metrics.podMonitor are both enabled, so that everything would be counted twice: choose one" }}
{{- end }}
{{- end }}
