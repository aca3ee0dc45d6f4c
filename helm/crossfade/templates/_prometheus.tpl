{{- /* What cannot be meant, said before anything is installed. */ -}}
{{- define "crossfade.prometheus.check" -}}
{{- $auth := .Values.prometheus.auth -}}
{{- $tls := .Values.prometheus.tls -}}
{{- if and $auth.bearerTokenSecret.name $auth.basicSecret.name -}}
{{- fail "prometheus.auth: found bearerTokenSecret and basicSecret; set one of them" -}}
{{- end -}}
{{- if and $tls.caSecret.name $tls.caConfigMap.name -}}
{{- fail "prometheus.tls: found caSecret and caConfigMap; set one of them" -}}
{{- end -}}
{{- $ca := or $tls.caSecret.name $tls.caConfigMap.name -}}
{{- if and $ca $tls.insecureSkipVerify -}}
{{- fail "prometheus.tls: found insecureSkipVerify beside authorities to verify with; set one of them" -}}
{{- end -}}
{{- if and (or $ca $tls.certSecret.name $tls.insecureSkipVerify) (not (hasPrefix "https://" .Values.prometheus.url)) -}}
{{- fail "prometheus.tls: needs a prometheus.url with https://" -}}
{{- end -}}
{{- end -}}

{{- /* Secrets come as files, which follow the Secret; the user, which is none, as a variable. */ -}}
{{- define "crossfade.prometheus.settings" -}}
{{- $prometheus := .Values.prometheus -}}
prometheusUrl: {{ $prometheus.url | quote }}
prometheusTimeout: {{ $prometheus.timeout | quote }}
{{- with $prometheus.headers }}
prometheusHeaders: {{ toJson . }}
{{- end }}
{{- if $prometheus.auth.bearerTokenSecret.name }}
prometheusBearerTokenFile: /etc/crossfade/prometheus/token/token
{{- end }}
{{- if $prometheus.auth.basicSecret.name }}
prometheusPasswordFile: /etc/crossfade/prometheus/basic/password
{{- end }}
{{- if or $prometheus.tls.caSecret.name $prometheus.tls.caConfigMap.name }}
prometheusCaFile: /etc/crossfade/prometheus/ca/ca.crt
{{- end }}
{{- if $prometheus.tls.certSecret.name }}
prometheusCertFile: /etc/crossfade/prometheus/cert/tls.crt
prometheusKeyFile: /etc/crossfade/prometheus/cert/tls.key
{{- end }}
{{- if $prometheus.tls.insecureSkipVerify }}
prometheusInsecureSkipVerify: true
{{- end }}
{{- end -}}

{{- define "crossfade.prometheus.volumes" -}}
{{- $auth := .Values.prometheus.auth -}}
{{- $tls := .Values.prometheus.tls -}}
{{- with $auth.bearerTokenSecret }}
{{- if .name }}
- name: prometheus-token
  secret:
    secretName: {{ .name | quote }}
    items: [{key: {{ .key | quote }}, path: token}]
{{- end }}
{{- end }}
{{- with $auth.basicSecret }}
{{- if .name }}
- name: prometheus-basic
  secret:
    secretName: {{ .name | quote }}
    items: [{key: {{ .passwordKey | quote }}, path: password}]
{{- end }}
{{- end }}
{{- with $tls.caSecret }}
{{- if .name }}
- name: prometheus-ca
  secret:
    secretName: {{ .name | quote }}
    items: [{key: {{ .key | quote }}, path: ca.crt}]
{{- end }}
{{- end }}
{{- with $tls.caConfigMap }}
{{- if .name }}
- name: prometheus-ca
  configMap:
    name: {{ .name | quote }}
    items: [{key: {{ .key | quote }}, path: ca.crt}]
{{- end }}
{{- end }}
{{- with $tls.certSecret }}
{{- if .name }}
- name: prometheus-cert
  secret:
    secretName: {{ .name | quote }}
    items: [{key: {{ .certKey | quote }}, path: tls.crt}, {key: {{ .keyKey | quote }}, path: tls.key}]
{{- end }}
{{- end }}
{{- end -}}
