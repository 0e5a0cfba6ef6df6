{{/* The name of everything in the release. */}}
{{- define "proofload.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What selects the operator's pod; never changes between versions. */}}
{{- define "proofload.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "proofload.labels" -}}
{{ include "proofload.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "proofload.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "proofload.fullname" .) }}
{{- end }}

{{/* The Secret with the signing key. */}}
{{- define "proofload.keySecret" -}}
{{ .Values.key.existingSecret | default (printf "%s-key" (include "proofload.fullname" .)) }}
{{- end }}

{{/* Call with (list . "operator"). */}}
{{- define "proofload.image" -}}
{{- $top := index . 0 -}}
{{- $prefix := required "image.prefix: say where the operator and runner images are (see the Dockerfile)" $top.Values.image.prefix -}}
{{- printf "%s/%s:%s" $prefix (index . 1) ($top.Values.image.tag | default $top.Chart.AppVersion) -}}
{{- end }}

{{/* The Lease that the operator which acts holds. */}}
{{- define "proofload.lease" -}}
{{ include "proofload.fullname" . }}-operator
{{- end }}
