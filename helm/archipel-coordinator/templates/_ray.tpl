{{/* The name of the RayCluster; KubeRay names its head's Service after it. */}}
{{- define "archipel-coordinator.rayCluster" -}}
{{- include "archipel-coordinator.fullname" . }}-ray
{{- end -}}

{{- define "archipel-coordinator.rayHead" -}}
{{- include "archipel-coordinator.rayCluster" . }}-head-svc.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end -}}

{{- define "archipel-coordinator.rayAuthoritySecret" -}}
{{- if .Values.ray.kuberay.caCertManager -}}
{{- include "archipel-coordinator.rayCluster" . }}-authority
{{- else -}}
{{- .Values.ray.kuberay.caExistingSecret -}}
{{- end -}}
{{- end -}}

{{/* The init container that issues a pod's certificate for Ray. Called with root and hosts. */}}
{{- define "archipel-coordinator.rayCertificate" -}}
- name: ray-certificate
  image: {{ include "archipel-coordinator.image" .root | quote }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command: ["python", "/etc/ray-script/issue_certificate.py"]
  env:
    - name: POD_IP
      valueFrom:
        fieldRef:
          fieldPath: status.podIP
    - name: HOSTS
      value: {{ .hosts | quote }}
    - name: VALID_DAYS
      value: {{ int .root.Values.ray.kuberay.certificateDays | quote }}
  securityContext:
    {{- include "archipel-coordinator.containerSecurityContext" .root | nindent 4 }}
  resources:
    requests:
      cpu: 50m
      memory: 128Mi
    limits:
      memory: 128Mi
  volumeMounts:
    - name: ray-script
      mountPath: /etc/ray-script
      readOnly: true
    - name: ray-authority
      mountPath: /etc/ray-authority
      readOnly: true
    - name: ray-tls
      mountPath: /etc/ray-tls
{{- end -}}

{{- define "archipel-coordinator.rayCertificateVolumes" -}}
- name: ray-script
  configMap:
    name: {{ include "archipel-coordinator.rayCluster" . }}
- name: ray-authority
  secret:
    secretName: {{ include "archipel-coordinator.rayAuthoritySecret" . }}
    defaultMode: 0440
    items:
      - key: tls.crt
        path: tls.crt
      - key: tls.key
        path: tls.key
- name: ray-tls
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- end -}}

{{- define "archipel-coordinator.rayTokenVolume" -}}
- name: ray-token
  secret:
    secretName: {{ .Values.ray.tokenExistingSecret }}
    defaultMode: 0440
    items:
      - key: auth_token
        path: auth_token
{{- end -}}

{{/* A Ray pod. KubeRay replaces the command and adds an init container that takes over environment and mounts. */}}
{{- define "archipel-coordinator.rayPod" -}}
{{- $settings := index .root.Values.ray.kuberay .group -}}
metadata:
  labels:
    # Not app.kubernetes.io/name: KubeRay's head Service selects its own value of it.
    app.kubernetes.io/instance: {{ .root.Release.Name }}
    app.kubernetes.io/part-of: archipel
    app.kubernetes.io/component: ray
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "archipel-coordinator.podSecurityContext" .root | nindent 4 }}
  initContainers:
    {{- include "archipel-coordinator.rayCertificate" (dict "root" .root "hosts" .hosts) | nindent 4 }}
  containers:
    - name: ray
      image: {{ include "archipel-coordinator.image" .root | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      env:
        - name: HOME
          value: /tmp
        - name: RAY_USAGE_STATS_ENABLED
          value: "0"
        - name: RAY_AUTH_MODE
          value: token
        - name: RAY_AUTH_TOKEN_PATH
          value: /etc/ray-token/auth_token
        - name: RAY_USE_TLS
          value: "1"
        - name: RAY_TLS_SERVER_CERT
          value: /etc/ray-tls/tls.crt
        - name: RAY_TLS_SERVER_KEY
          value: /etc/ray-tls/tls.key
        - name: RAY_TLS_CA_CERT
          value: /etc/ray-tls/ca.crt
      {{- if eq .group "head" }}
      ports:
        - name: gcs
          containerPort: 6379
        - name: client
          containerPort: 10001
      startupProbe:
        tcpSocket:
          port: 6379
        periodSeconds: 5
        failureThreshold: 60
      readinessProbe:
        tcpSocket:
          port: 10001
        periodSeconds: 10
      livenessProbe:
        tcpSocket:
          port: 6379
        periodSeconds: 20
        failureThreshold: 6
      {{- else }}
      startupProbe:
        tcpSocket:
          port: 6380
        periodSeconds: 5
        failureThreshold: 60
      readinessProbe:
        tcpSocket:
          port: 6380
        periodSeconds: 10
      livenessProbe:
        tcpSocket:
          port: 6380
        periodSeconds: 20
        failureThreshold: 6
      {{- end }}
      securityContext:
        {{- include "archipel-coordinator.containerSecurityContext" .root | nindent 8 }}
      resources:
        requests:
          cpu: {{ $settings.cpu | quote }}
          memory: {{ $settings.memory }}
        limits:
          memory: {{ $settings.memory }}
      volumeMounts:
        - name: ray-token
          mountPath: /etc/ray-token
          readOnly: true
        - name: ray-tls
          mountPath: /etc/ray-tls
          readOnly: true
        - name: shm
          mountPath: /dev/shm
        - name: tmp
          mountPath: /tmp
  volumes:
    {{- include "archipel-coordinator.rayTokenVolume" .root | nindent 4 }}
    {{- include "archipel-coordinator.rayCertificateVolumes" .root | nindent 4 }}
    - name: shm
      emptyDir:
        medium: Memory
        sizeLimit: {{ add (int $settings.objectStoreGiB) 1 }}Gi
    - name: tmp
      emptyDir:
        sizeLimit: 8Gi
{{- end -}}
