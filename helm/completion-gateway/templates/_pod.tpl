{{/* The pod of the gateway, the same in a StatefulSet and in a Deployment. */}}

{{- define "completion-gateway.securityContext" -}}
{{- include "completion-gateway.filled" .Values.securityContext }}
{{- end }}

{{- define "completion-gateway.podTemplate" -}}
metadata:
  labels:
    {{- $own := include "completion-gateway.podLabels" . | fromYaml }}
    {{- $_ := set $own "app.kubernetes.io/component" "gateway" }}
    {{- merge $own (.Values.podLabels | default dict) (.Values.commonLabels | default dict) | toYaml | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: gateway
    {{- include "completion-gateway.checksums" . | nindent 4 }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "completion-gateway.podBase" . | nindent 2 }}
  serviceAccountName: {{ include "completion-gateway.serviceAccountName" . | quote }}
  terminationGracePeriodSeconds: {{ include "completion-gateway.terminationGracePeriodSeconds" . }}
  {{- $isWaiting := and (not (include "completion-gateway.isSqlite" .)) .Values.migrations.waitForSchema.enabled }}
  {{- if or $isWaiting .Values.extraInitContainers }}
  initContainers:
    {{- with .Values.extraInitContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if $isWaiting }}
    {{- include "completion-gateway.waitForSchema" . | nindent 4 }}
    {{- end }}
  {{- end }}
  containers:
    {{- include "completion-gateway.container" . | nindent 4 }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "completion-gateway.volumes" . | nindent 4 }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "completion-gateway.spread" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* What each pod of the chart has, the migration's too. */}}
{{- define "completion-gateway.podBase" -}}
automountServiceAccountToken: false
{{- /* Else a Service that is called gateway would set GATEWAY_PORT to a URL. */}}
enableServiceLinks: false
securityContext:
  {{- include "completion-gateway.filled" .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $key := list "priorityClassName" "runtimeClassName" "schedulerName" "dnsPolicy" }}
{{- with index $.Values $key }}
{{ $key }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- range $key := list "dnsConfig" "hostAliases" "tolerations" }}
{{- with index $.Values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Of what a pod reads at its start only. Policies are not among it: they are taken over as they are. */}}
{{- define "completion-gateway.checksums" -}}
{{- $read := list .Values.pepper.value .Values.database.url .Values.redis.url .Values.upstreamKeys.values }}
{{- if has (get (.Values.settings | default dict) "GATEWAY_POLICY_RELOAD" | toString) (list "off" "false") }}
{{- $read = append $read .Values.policies.files }}
{{- end -}}
checksum/config: {{ $read | toJson | sha256sum }}
{{- end }}

{{- define "completion-gateway.waitForSchema" -}}
- name: wait-for-schema
  image: {{ include "completion-gateway.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [migrate, --wait, --timeout-seconds, {{ .Values.migrations.waitForSchema.timeoutSeconds | int64 | quote }}]
  {{- include "completion-gateway.migrationContainer" . | nindent 2 }}
{{- end }}

{{- define "completion-gateway.container" -}}
- name: gateway
  image: {{ include "completion-gateway.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args:
    - serve
    {{- range .Values.extraArgs }}
    - {{ include "completion-gateway.text" . | quote }}
    {{- end }}
  env:
    {{- include "completion-gateway.env" . | trim | nindent 4 }}
  {{- with include "completion-gateway.envFrom" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  ports:
    - name: http
      containerPort: 8080
      protocol: TCP
    - name: ops
      containerPort: 9090
      protocol: TCP
  {{- range $key := list "startupProbe" "livenessProbe" "readinessProbe" "lifecycle" "resources" }}
  {{- with index $.Values $key }}
  {{ $key }}:
    {{- include "completion-gateway.filled" . | nindent 4 }}
  {{- end }}
  {{- end }}
  securityContext:
    {{- include "completion-gateway.securityContext" . | nindent 4 }}
  volumeMounts:
    {{- if include "completion-gateway.isSqlite" . }}
    - name: data
      mountPath: /app/var
    {{- end }}
    - name: tmp
      mountPath: /tmp
    {{- if or .Values.policies.files .Values.policies.existingConfigMap }}
    {{- /* The whole folder: a subPath would never see a change. */}}
    - name: policies
      mountPath: {{ include "completion-gateway.policiesFolder" . }}
      readOnly: true
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "completion-gateway.tmpVolume" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.tmpSizeLimit }}
{{- end }}

{{- define "completion-gateway.volumes" -}}
{{ include "completion-gateway.tmpVolume" . }}
{{- if include "completion-gateway.isSqlite" . }}
- name: data
  {{- if .Values.persistence.enabled }}
  persistentVolumeClaim:
    claimName: {{ default (include "completion-gateway.named" (list . "data")) .Values.persistence.existingClaim | quote }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}
{{- if or .Values.policies.files .Values.policies.existingConfigMap }}
- name: policies
  configMap:
    name: {{ default (include "completion-gateway.named" (list . "policies")) .Values.policies.existingConfigMap | quote }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A constraint without a selector would count no pod at all. */}}
{{- define "completion-gateway.spread" -}}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- $one := deepCopy . }}
  {{- if not (hasKey $one "labelSelector") }}
  {{- $labels := include "completion-gateway.selectorLabels" $ | fromYaml }}
  {{- $_ := set $labels "app.kubernetes.io/component" "gateway" }}
  {{- $_ := set $one "labelSelector" (dict "matchLabels" $labels) }}
  {{- if and (not (include "completion-gateway.isSqlite" $)) (not (hasKey $one "matchLabelKeys")) }}
  {{- $_ := set $one "matchLabelKeys" (list "pod-template-hash") }}
  {{- end }}
  {{- end }}
  - {{ toYaml $one | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The labels by which objects of the chart find the gateway's pods. */}}
{{- define "completion-gateway.gatewaySelector" -}}
{{ include "completion-gateway.selectorLabels" . }}
app.kubernetes.io/component: gateway
{{- end }}
