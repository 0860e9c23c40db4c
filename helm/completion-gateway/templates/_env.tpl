{{/* Variables of the containers. They stand in the pod, not in a ConfigMap: each revision keeps its own. */}}

{{- define "completion-gateway.secretName" -}}
{{- include "completion-gateway.fullname" . }}
{{- end }}

{{/* (list $ variable values key): a variable out of your Secret, or the chart's. */}}
{{- define "completion-gateway.secretEnv" -}}
{{- $values := index . 2 }}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      {{- if $values.existingSecret }}
      name: {{ $values.existingSecret | quote }}
      key: {{ $values.existingSecretKey | quote }}
      {{- else }}
      name: {{ include "completion-gateway.secretName" (index . 0) | quote }}
      key: {{ index . 3 }}
      {{- end }}
{{- end }}

{{/* What `gateway migrate` needs, and what is to be everywhere. */}}
{{- define "completion-gateway.databaseEnv" -}}
{{- if include "completion-gateway.isSqlite" . }}
- name: GATEWAY_DATABASE_URL
  value: sqlite:////app/var/gateway.db
{{- else }}
{{- include "completion-gateway.secretEnv" (list . "GATEWAY_DATABASE_URL" .Values.database "database-url") }}
{{- end }}
{{- end }}

{{- define "completion-gateway.policiesFolder" -}}
{{- if or .Values.policies.files .Values.policies.existingConfigMap }}/etc/completion-gateway/policies{{ else }}/app/policies{{ end }}
{{- end }}

{{- define "completion-gateway.env" -}}
{{- include "completion-gateway.databaseEnv" . }}
{{- if .Values.redis.enabled }}
{{- include "completion-gateway.secretEnv" (list . "GATEWAY_REDIS_URL" .Values.redis "redis-url") }}
{{- end }}
{{- include "completion-gateway.secretEnv" (list . "GATEWAY_PEPPER" .Values.pepper "pepper") }}
- name: GATEWAY_HOST
  value: {{ .Values.listenAddress | quote }}
- name: GATEWAY_PORT
  value: "8080"
- name: GATEWAY_OPS_HOST
  value: {{ .Values.listenAddress | quote }}
- name: GATEWAY_OPS_PORT
  value: "9090"
- name: GATEWAY_POLICIES
  value: {{ include "completion-gateway.policiesFolder" . }}
- name: GATEWAY_DRAIN_SECONDS
  value: {{ include "completion-gateway.text" .Values.shutdown.drainSeconds | quote }}
- name: GATEWAY_SHUTDOWN_GRACE_SECONDS
  value: {{ include "completion-gateway.text" .Values.shutdown.graceSeconds | quote }}
{{- if not (get (.Values.settings | default dict) "GATEWAY_SIMULATOR_LOG") }}
- name: GATEWAY_SIMULATOR_LOG
  value: /dev/null
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- if not (kindIs "invalid" $value) }}
- name: {{ $name }}
  value: {{ include "completion-gateway.text" $value | quote }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "completion-gateway.envFrom" -}}
{{- if or .Values.upstreamKeys.values .Values.upstreamKeys.existingSecret .Values.extraEnvFrom }}
envFrom:
  {{- if .Values.upstreamKeys.values }}
  - secretRef:
      name: {{ include "completion-gateway.named" (list . "upstreams") | quote }}
  {{- end }}
  {{- with .Values.upstreamKeys.existingSecret }}
  - secretRef:
      name: {{ . | quote }}
  {{- end }}
  {{- with .Values.extraEnvFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
