{{/* Names and labels. */}}

{{- define "completion-gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* At most 52 characters: a StatefulSet's pods have a label of its name and 11 more. */}}
{{- define "completion-gateway.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "completion-gateway.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "completion-gateway.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* (list $ suffix): the full name and the suffix, cut in the middle where both are too long. */}}
{{- define "completion-gateway.named" -}}
{{- $suffix := index . 1 | trunc 40 | trimSuffix "-" }}
{{- $room := sub 62 (len $suffix) | int }}
{{- printf "%s-%s" (include "completion-gateway.fullname" (index . 0) | trunc $room | trimSuffix "-") $suffix }}
{{- end }}

{{/* Text as part of a name: lower case, digits, hyphens. */}}
{{- define "completion-gateway.slug" -}}
{{- regexReplaceAll "[^a-z0-9]+" (lower .) "-" | trimPrefix "-" | trimSuffix "-" }}
{{- end }}

{{/* Of a selector, which can never change: nothing here may follow a version or a value of labels. */}}
{{- define "completion-gateway.selectorLabels" -}}
app.kubernetes.io/name: {{ include "completion-gateway.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Prometheus' job is `part-of`, whatever the release is called: alerts and dashboards go by it. */}}
{{- define "completion-gateway.podLabels" -}}
{{ include "completion-gateway.selectorLabels" . }}
app.kubernetes.io/part-of: completion-gateway
app.kubernetes.io/version: {{ include "completion-gateway.version" . | quote }}
{{- end }}

{{- define "completion-gateway.version" -}}
{{- .Values.image.tag | toString | default .Chart.AppVersion | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- end }}

{{/* (list $ component labels annotations): labels and annotations of an object's metadata. */}}
{{- define "completion-gateway.meta" -}}
{{- $ := index . 0 }}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_.")
  "app.kubernetes.io/managed-by" $.Release.Service
  "app.kubernetes.io/component" (index . 1) }}
{{- $own = merge $own (include "completion-gateway.podLabels" $ | fromYaml) -}}
labels:
  {{- merge $own (index . 2 | default dict) ($.Values.commonLabels | default dict) | toYaml | nindent 2 }}
{{- with merge (dict) (index . 3 | default dict) ($.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "completion-gateway.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "completion-gateway.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "completion-gateway.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (.tag | toString | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}
