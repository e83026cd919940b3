{{/* The name of all objects: the release, which has to say `pillion`. */}}
{{- define "pillion.name" -}}
{{- if contains "pillion" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-pillion" (.Release.Name | trunc 44 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "pillion.selector" -}}
app.kubernetes.io/name: pillion
app.kubernetes.io/component: watch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pillion.labels" -}}
{{ include "pillion.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "pillion.account" -}}
{{- .Values.serviceAccount.name | default (include "pillion.name" .) -}}
{{- end -}}

{{- define "pillion.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* What every container has. */}}
{{- define "pillion.container" -}}
image: {{ include "pillion.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
- {name: HOME, value: /home/pillion}
- {name: GIT_CONFIG_GLOBAL, value: /etc/pillion/git/gitconfig}
- {name: GIT_TERMINAL_PROMPT, value: "0"}
{{- if .Values.watch.kubeconfigSecret }}
- {name: KUBECONFIG, value: /etc/pillion/kubeconfig/config}
{{- end }}
volumeMounts:
- {name: work, mountPath: /data}
- {name: home, mountPath: /home/pillion}
- {name: tmp, mountPath: /tmp}
- {name: git, mountPath: /etc/pillion/git, readOnly: true}
{{- if .Values.watch.kubeconfigSecret }}
- {name: kubeconfig, mountPath: /etc/pillion/kubeconfig, readOnly: true}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end -}}

{{- define "pillion.podMetadata" -}}
labels:
  {{- include "pillion.selector" . | nindent 2 }}
  {{- with .Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  # Settings are read when a pod starts: a change of them makes new pods.
  checksum/settings: {{ include (print .Template.BasePath "/settings.yaml") . | sha256sum }}
  {{- with .Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The clone is deleted with the pod: it has nothing that is not in git. The init containers may run again in one pod. */}}
{{- define "pillion.podSpec" -}}
{{- $settings := list (dict "configMapRef" (dict "name" (include "pillion.name" .))) -}}
serviceAccountName: {{ include "pillion.account" . }}
automountServiceAccountToken: true
enableServiceLinks: false
terminationGracePeriodSeconds: 60 # time to finish a push
{{- if eq .Values.kind "CronJob" }}
restartPolicy: Never
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
initContainers:
- name: init
  command: [git, init, --quiet, --bare, --initial-branch=$(PILLION_BRANCH), /data/repository]
  envFrom: {{- toYaml $settings | nindent 2 }}
  {{- include "pillion.container" . | nindent 2 }}
- name: remote
  command: [git, --git-dir=/data/repository, config, remote.origin.url, $(PILLION_REPOSITORY)]
  envFrom: {{- toYaml $settings | nindent 2 }}
  {{- include "pillion.container" . | nindent 2 }}
- name: fetch
  command:
  - git
  - --git-dir=/data/repository
  - fetch
  - --quiet
  - --no-tags
  - --update-head-ok
  - origin
  - +refs/heads/$(PILLION_BRANCH):refs/heads/$(PILLION_BRANCH)
  envFrom: {{- toYaml $settings | nindent 2 }}
  {{- include "pillion.container" . | nindent 2 }}
containers:
- name: watch
  workingDir: /data/repository
  command: [pillion, watch]
  args:
  {{- if eq .Values.kind "CronJob" }}
  - --once
  {{- else }}
  - --log=json
  - --listen=0.0.0.0:9464
  {{- end }}
  {{- with .Values.watch.cluster }}
  - {{ printf "--cluster=%s" . | quote }}
  {{- end }}
  {{- range .Values.namespaces }}
  - {{ printf "--namespace=%s" . | quote }}
  {{- end }}
  {{- range .Values.watch.sidecarSets }}
  - {{ . | quote }}
  {{- end }}
  {{- range .Values.watch.extraArgs }}
  - {{ . | quote }}
  {{- end }}
  envFrom:
  {{- toYaml $settings | nindent 2 }}
  - secretRef: {name: {{ .Values.watch.secretName }}, optional: true}
  {{- if eq .Values.kind "Deployment" }}
  ports:
  - {name: http, containerPort: 9464}
  startupProbe:
    httpGet: {path: /healthz, port: http}
    periodSeconds: 5
    failureThreshold: 60
  livenessProbe: # fails if no evaluation was completed within --unhealthy-after
    httpGet: {path: /healthz, port: http}
    periodSeconds: 20
    failureThreshold: 3
  readinessProbe:
    httpGet: {path: /readyz, port: http}
    periodSeconds: 10
  {{- end }}
  {{- include "pillion.container" . | nindent 2 }}
volumes:
- {name: work, emptyDir: {sizeLimit: {{ .Values.storage.repository }}}}
- {name: home, emptyDir: {sizeLimit: 16Mi}}
- {name: tmp, emptyDir: {sizeLimit: {{ .Values.storage.tmp }}}}
- name: git
  secret: {secretName: {{ .Values.git.secretName }}, defaultMode: 0440}
{{- with .Values.watch.kubeconfigSecret }}
- name: kubeconfig
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end -}}
