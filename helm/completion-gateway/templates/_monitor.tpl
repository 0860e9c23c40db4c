{{/* (list values): what ServiceMonitor and PodMonitor have in common for one port. */}}
{{- define "completion-gateway.scrape" -}}
- port: ops
  path: /metrics
  interval: {{ .interval }}
  scrapeTimeout: {{ .scrapeTimeout }}
  {{- with .relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* (list $ file suffix): a name of an object that is made of a file. */}}
{{- define "completion-gateway.fileName" -}}
{{- $file := index . 1 | base | trimSuffix ".json" | trimSuffix ".yaml" | trimSuffix ".yml" }}
{{- include "completion-gateway.named" (list (index . 0) (printf "%s-%s" (index . 2) (include "completion-gateway.slug" $file))) }}
{{- end }}
