{{/* What follows from several values: "true" or nothing, and numbers. */}}

{{- define "completion-gateway.isSqlite" -}}
{{- if eq .Values.database.type "sqlite" }}true{{ end }}
{{- end }}

{{/* Several pods may run at once, if only while one replaces another. */}}
{{- define "completion-gateway.isShared" -}}
{{- if and (eq .Values.database.type "postgresql") .Values.redis.enabled }}true{{ end }}
{{- end }}

{{- define "completion-gateway.replicasMin" -}}
{{- if .Values.autoscaling.enabled }}{{ int .Values.autoscaling.minReplicas }}{{ else }}{{ int .Values.replicaCount }}{{ end }}
{{- end }}

{{- define "completion-gateway.hasOwnSecret" -}}
{{- if or .Values.pepper.value .Values.database.url .Values.redis.url }}true{{ end }}
{{- end }}

{{/* The gateway's own times, 5 seconds for the last words of what was cut, the rest to write usage out. */}}
{{- define "completion-gateway.terminationGracePeriodSeconds" -}}
{{- with .Values.shutdown }}
{{- $needed := add (ceil .drainSeconds) (ceil .graceSeconds) | int }}
{{- if kindIs "invalid" .terminationGracePeriodSeconds }}
{{- add $needed 30 }}
{{- else if lt (int .terminationGracePeriodSeconds) (add $needed 10 | int) }}
{{- fail (printf "shutdown.terminationGracePeriodSeconds is %d, but a pod needs drainSeconds + graceSeconds = %d, and at least 10 more to write usage out: raise it, or leave it null" (int .terminationGracePeriodSeconds) $needed) }}
{{- else }}
{{- int .terminationGracePeriodSeconds }}
{{- end }}
{{- end }}
{{- end }}

{{/* A number, a text or a switch as a variable has it: a large number without an exponent, and yes as on. */}}
{{- define "completion-gateway.text" -}}
{{- if kindIs "bool" . }}{{ ternary "on" "off" . }}
{{- else if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%.0f" . }}
{{- else }}{{ toString . }}
{{- end }}
{{- end }}

{{/* A map without its null values: a value of null takes a key of the defaults out. */}}
{{- define "completion-gateway.filled" -}}
{{- $kept := dict }}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}{{ $_ := set $kept $key $value }}{{ end }}
{{- end }}
{{- toYaml $kept }}
{{- end }}
