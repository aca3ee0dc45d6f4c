{{- /* Every object of the release: its name where that says crossfade already. */ -}}
{{- define "crossfade.name" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* Rights outside of the release's namespace: two releases of one name must not meet there. */ -}}
{{- define "crossfade.grant" -}}
{{- printf "%s:%s" .Release.Namespace (include "crossfade.name" .) -}}
{{- end -}}

{{- define "crossfade.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "crossfade.labels" -}}
{{ include "crossfade.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "crossfade.image" -}}
{{- $missing := "image.repository: found nothing, and no image of Crossfade is published yet; say where yours is, like --set image.repository=registry.example.org/crossfade" -}}
{{- printf "%s:%s" (required $missing .Values.image.repository) (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
