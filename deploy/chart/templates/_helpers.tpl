{{/* An image of ours: (list $ "router") */}}
{{- define "roundhouse.image" -}}
{{- $root := index . 0 -}}
{{ $root.Values.image.registry | default "roundhouse" }}/{{ index . 1 }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- end }}

{{/* Labels of everything: (list $ "router") */}}
{{- define "roundhouse.labels" -}}
{{- $root := index . 0 -}}
app: roundhouse-{{ index . 1 }}
app.kubernetes.io/name: roundhouse
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/part-of: roundhouse
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{/* The group of our kinds. */}}
{{- define "roundhouse.apiGroup" -}}
{{ if (.Values.beside).kserve }}serving.roundhouse.dev{{ else }}serving.kserve.io{{ end }}
{{- end }}

{{/* Who we are, for logs, Leases and the control stream. */}}
{{- define "roundhouse.podIdentity" -}}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: POD_UID
  valueFrom: { fieldRef: { fieldPath: metadata.uid } }
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
{{- end }}

{{/* Pod Security "restricted" and a little more. */}}
{{- define "roundhouse.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}
{{- define "roundhouse.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Where the pods of one part run: (list $ "router") */}}
{{- define "roundhouse.scheduling" -}}
{{- $root := index . 0 -}}
{{- $part := index $root.Values (index . 1) -}}
{{- with $root.Values.priorityClass.name }}
priorityClassName: {{ . }}
{{- end }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: { matchLabels: { app: roundhouse-{{ index $ 1 }} } }
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}

{{/* One replica at a time may be gone: (list $ "router") */}}
{{- define "roundhouse.disruptionBudget" -}}
{{- $root := index . 0 -}}
{{- if gt (int (index $root.Values (index . 1)).replicas) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: roundhouse-{{ index . 1 }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "roundhouse.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector: { matchLabels: { app: roundhouse-{{ index . 1 }} } }
{{- end }}
{{- end }}

{{/* Rules of the generated list, for the group of our kinds: (list $ "served") */}}
{{- define "roundhouse.rules" -}}
{{- $rules := (index . 0).Files.Get "files/rbac.yaml" | replace "serving.kserve.io" (include "roundhouse.apiGroup" (index . 0)) }}
{{- index (fromYaml $rules) (index . 1) | toYaml }}
{{- end }}
