{{- define "crossfade.chart" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end -}}

{{- /* Every object of the release: its name where that says crossfade already. */ -}}
{{- define "crossfade.name" -}}
{{- $chart := include "crossfade.chart" . -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
{{- .Values.fullnameOverride | default $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* Who the controller is for the API server. */ -}}
{{- define "crossfade.account" -}}
{{- .Values.serviceAccount.name | default (include "crossfade.name" .) -}}
{{- end -}}

{{- /* Rights outside of the release's namespace: two releases of one name must not meet there. */ -}}
{{- define "crossfade.grant" -}}
{{- printf "%s:%s" .Release.Namespace (include "crossfade.name" .) -}}
{{- end -}}

{{- define "crossfade.selector" -}}
app.kubernetes.io/name: {{ include "crossfade.chart" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* The pod of `helm test`: not one of those that the Service leads to. */ -}}
{{- define "crossfade.tester" -}}
app.kubernetes.io/name: {{ include "crossfade.chart" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "crossfade.ours" -}}
{{ include "crossfade.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* What somebody else adds never replaces a label that objects are found by. */ -}}
{{- define "crossfade.labels" -}}
{{ mergeOverwrite (deepCopy (.Values.commonLabels | default dict)) (include "crossfade.ours" . | fromYaml) | toYaml }}
{{- end -}}

{{- define "crossfade.testerLabels" -}}
{{ mergeOverwrite (include "crossfade.labels" . | fromYaml) (include "crossfade.tester" . | fromYaml) | toYaml }}
{{- end -}}

{{- define "crossfade.podLabels" -}}
{{- $given := mergeOverwrite (deepCopy (.Values.commonLabels | default dict)) (.Values.podLabels | default dict) -}}
{{ mergeOverwrite $given (include "crossfade.selector" . | fromYaml) | toYaml }}
{{- end -}}

{{- /* Given labels below ours: (dict "root" $ "given" LABELS). */ -}}
{{- define "crossfade.labelsWith" -}}
{{ mergeOverwrite (deepCopy (.given | default dict)) (include "crossfade.labels" .root | fromYaml) | toYaml }}
{{- end -}}

{{- /* Of an object: those for every object, below those given for this one: (dict "root" $ "given" ANNOTATIONS). */ -}}
{{- define "crossfade.annotations" -}}
{{- with mergeOverwrite (deepCopy (.root.Values.commonAnnotations | default dict)) (.given | default dict) }}
{{- dict "annotations" . | toYaml | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* How Prometheus asks, for a ServiceMonitor or a PodMonitor. */ -}}
{{- define "crossfade.endpoint" -}}
port: http
path: /metrics
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
# `namespace` of our series is the Canary's, not the pod's.
honorLabels: true
{{- with .relabelings }}
relabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The namespaces that are looked after, as JSON; an empty list: all. */ -}}
{{- define "crossfade.watched" -}}
{{- if and .Values.watchNamespace .Values.watchNamespaces -}}
{{- fail "watchNamespace: found beside watchNamespaces; set one of them" -}}
{{- end -}}
{{- .Values.watchNamespaces | default (compact (list .Values.watchNamespace)) | toJson -}}
{{- end -}}

{{- /* The namespaces in which Gloo's objects are followed, as JSON: where Canaries reach; [] for all of them. */ -}}
{{- define "crossfade.gateways" -}}
{{- $watched := include "crossfade.watched" . | fromJsonArray -}}
{{- if and $watched (not (has "*" .Values.allowedNamespaces)) -}}
{{- concat $watched .Values.allowedNamespaces | uniq | toJson -}}
{{- else -}}[]{{- end -}}
{{- end -}}

{{- /* "true" where controllers elect one of them to act; otherwise nothing. */ -}}
{{- define "crossfade.elects" -}}
{{- if or .Values.leaderElection.enabled (gt (int .Values.replicaCount) 1) -}}true{{- end -}}
{{- end -}}

{{- define "crossfade.image" -}}
{{- $missing := "image.repository: found nothing, and no image of Crossfade is published yet; say where yours is, like --set image.repository=registry.example.org/crossfade" -}}
{{- printf "%s:%s" (required $missing .Values.image.repository) (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- /* Each constraint with the controller's own selector, unless it has one. */ -}}
{{- define "crossfade.spread" -}}
{{- $given := .Values.topologySpreadConstraints -}}
{{- if and (not $given) (gt (int .Values.replicaCount) 1) -}}
{{- $given = list (dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway") -}}
{{- end -}}
{{- $selector := dict "labelSelector" (dict "matchLabels" (include "crossfade.selector" . | fromYaml)) -}}
{{- range $given }}
- {{ ternary . (merge (deepCopy .) $selector) (hasKey . "labelSelector") | toJson }}
{{- end }}
{{- end -}}
