{{/* The Job that migrates, and what waiting for it has in common with it. */}}

{{- define "completion-gateway.migrationContainer" -}}
env:
  {{- include "completion-gateway.databaseEnv" . | trim | nindent 2 }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.migrations.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "completion-gateway.securityContext" . | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "completion-gateway.migrationSpec" -}}
backoffLimit: {{ int .Values.migrations.backoffLimit }}
activeDeadlineSeconds: {{ int64 .Values.migrations.activeDeadlineSeconds }}
{{- if not (kindIs "invalid" .Values.migrations.ttlSecondsAfterFinished) }}
ttlSecondsAfterFinished: {{ int64 .Values.migrations.ttlSecondsAfterFinished }}
{{- end }}
template:
  metadata:
    labels:
      {{- $own := include "completion-gateway.podLabels" . | fromYaml }}
      {{- $_ := set $own "app.kubernetes.io/component" "migration" }}
      {{- merge $own (.Values.migrations.podLabels | default dict) (.Values.commonLabels | default dict) | toYaml | nindent 6 }}
    {{- with .Values.migrations.podAnnotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    restartPolicy: Never
    {{- include "completion-gateway.podBase" . | nindent 4 }}
    {{- /* A hook runs before the chart's account is there; no token is mounted in either. */}}
    {{- if not (and (eq .Values.migrations.mode "hook") .Values.serviceAccount.create) }}
    serviceAccountName: {{ include "completion-gateway.serviceAccountName" . | quote }}
    {{- end }}
    containers:
      - name: migrate
        image: {{ include "completion-gateway.image" . | quote }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        args: [migrate]
        {{- include "completion-gateway.migrationContainer" . | nindent 8 }}
    volumes:
      {{- include "completion-gateway.tmpVolume" . | nindent 6 }}
      {{- with .Values.extraVolumes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with .Values.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.affinity }}
    affinity:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}

{{/* A Job cannot be changed: whatever changes in it gives it another name, and Helm another Job. A hook is
deleted before it is made again, by its name. */}}
{{- define "completion-gateway.migrationName" -}}
{{- if eq .Values.migrations.mode "hook" }}
{{- include "completion-gateway.named" (list . "migrate") }}
{{- else }}
{{- $version := include "completion-gateway.slug" (include "completion-gateway.version" .) | trunc 20 | trimSuffix "-" }}
{{- $digest := include "completion-gateway.migrationSpec" . | sha256sum | trunc 8 }}
{{- include "completion-gateway.named" (list . (printf "migrate-%s-%s" $version $digest)) }}
{{- end }}
{{- end }}
