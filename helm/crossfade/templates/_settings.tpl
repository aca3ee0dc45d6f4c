{{- /* The file that CROSSFADE_CONFIG names. */ -}}
{{- define "crossfade.settings" -}}
{{ include "crossfade.prometheus.settings" . }}
namespace: {{ include "crossfade.watched" . }}
selector: {{ .Values.canarySelector | quote }}
allowedNamespaces: {{ .Values.allowedNamespaces | toJson }}
tenancy: {{ .Values.tenancy }}
listenHost: 0.0.0.0
listenPort: 8080
logFormat: {{ .Values.log.format | quote }}
logLevel: {{ .Values.log.level | quote }}
workers: {{ .Values.workers }}
{{- with .Values.stopConfigMap }}
stopConfigmap: {{ printf "%s/%s" $.Release.Namespace . }}
{{- end }}
{{- if include "crossfade.elects" . }}
leaderElection: true
leaseName: {{ include "crossfade.name" . }}
leaseNamespace: {{ .Release.Namespace }}
leaseDuration: {{ .Values.leaderElection.leaseDuration }}
leaseRenewWithin: {{ .Values.leaderElection.renewWithin }}
leaseRetry: {{ .Values.leaderElection.retry }}
{{- end }}
{{- end -}}
