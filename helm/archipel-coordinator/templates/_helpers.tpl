{{- define "archipel-coordinator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 36 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 36 characters: KubeRay cuts the name of the head's Service, which is this plus 13, at 50. */}}
{{- define "archipel-coordinator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" -}}
{{- else if contains (include "archipel-coordinator.name" .) .Release.Name -}}
{{- .Release.Name | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "archipel-coordinator.name" .) | trunc 36 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "archipel-coordinator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "archipel-coordinator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: coordinator
{{- end -}}

{{/* Labels of every object, without the component. */}}
{{- define "archipel-coordinator.commonLabels" -}}
app.kubernetes.io/name: {{ include "archipel-coordinator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: archipel
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "archipel-coordinator.labels" -}}
{{ include "archipel-coordinator.commonLabels" . }}
app.kubernetes.io/component: coordinator
{{- end -}}

{{- define "archipel-coordinator.rayLabels" -}}
{{ include "archipel-coordinator.commonLabels" . }}
app.kubernetes.io/component: ray
{{- end -}}

{{- define "archipel-coordinator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "archipel-coordinator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "archipel-coordinator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "archipel-coordinator.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{- include "archipel-coordinator.fullname" . }}-tls
{{- else -}}
{{- .Values.tls.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "archipel-coordinator.port" -}}
{{- splitList ":" . | last -}}
{{- end -}}

{{- define "archipel-coordinator.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: ["ALL"]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "archipel-coordinator.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.podSecurityContext }}
{{- if not (kindIs "invalid" .runAsUser) }}
runAsUser: {{ int64 .runAsUser }}
{{- end }}
{{- if not (kindIs "invalid" .runAsGroup) }}
runAsGroup: {{ int64 .runAsGroup }}
{{- end }}
{{- if not (kindIs "invalid" .fsGroup) }}
fsGroup: {{ int64 .fsGroup }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- with .supplementalGroups }}
supplementalGroups:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The relay may fill relay.sizeGiB; the volume is a little larger, so that senders wait before the disk is full. */}}
{{- define "archipel-coordinator.relayVolumeSize" -}}
{{- add (int .Values.relay.sizeGiB) 1 -}}Gi
{{- end -}}

{{/* coordinator.yaml. Built as data and printed once, so that no value can break out of its place. */}}
{{- define "archipel-coordinator.config" -}}
{{- $mib := 1048576 -}}
{{- $gib := 1073741824 -}}
{{- $store := dict "results_keep_s" .Values.resultsKeepSeconds "url" (default "sqlite:////var/lib/archipel/coordinator.db" .Values.database.url) -}}
{{- $ray := dict "mode" .Values.ray.mode "start_timeout_s" .Values.ray.startTimeoutSeconds "task_memory_bytes" (mul (int64 .Values.ray.taskMemoryMiB) $mib) -}}
{{- if eq .Values.ray.mode "local" -}}
{{- $_ := set $ray "cpus" (int .Values.ray.local.cpus) -}}
{{- $_ := set $ray "object_store_bytes" (mul (int64 .Values.ray.local.objectStoreGiB) $gib) -}}
{{- else if has .Values.ray.mode (list "existing" "kuberay") -}}
{{- $_ := set $ray "mode" "existing" -}}
{{- $_ := set $ray "address" (ternary (printf "ray://%s:10001" (include "archipel-coordinator.rayHead" .)) .Values.ray.existing.address (eq .Values.ray.mode "kuberay")) -}}
{{- $_ := set $ray "token_file" "/etc/ray-token/auth_token" -}}
{{- $_ := set $ray "tls_certificate_file" "/etc/ray-tls/tls.crt" -}}
{{- $_ := set $ray "tls_key_file" "/etc/ray-tls/tls.key" -}}
{{- $_ := set $ray "tls_ca_file" "/etc/ray-tls/ca.crt" -}}
{{- end -}}
{{- $config := dict
      "listen" "[::]:8443"
      "tls" (dict
        "certificate" "/etc/archipel/tls/tls.crt"
        "private_key" "/etc/archipel/tls/tls.key"
        "authority" "/etc/archipel/federation/ca.crt")
      "federation" (dict
        "manifest" "/etc/archipel/federation/manifest.jwt"
        "authority_key" "/etc/archipel/federation/authority.pub")
      "store" $store
      "merge" (dict
        "threshold_bytes" (mul (int64 .Values.merge.thresholdMiB) $mib)
        "memory_limit_bytes" (mul (int64 .Values.merge.memoryLimitMiB) $mib)
        "ray" $ray)
      "limits" .Values.limits
      "relay" (dict
        "directory" "/var/spool/archipel/relay"
        "memory_bytes" (mul (int64 .Values.relay.memoryMiB) $mib)
        "max_bytes" (mul (int64 .Values.relay.sizeGiB) $gib))
      "planner" .Values.planner
      "health_listen" (printf "[::]:%d" (int .Values.health.port))
      "reflection" .Values.reflection -}}
{{- with .Values.telemetry -}}
{{- if .endpoint -}}
{{- $telemetry := dict
      "otlp_endpoint" .endpoint
      "service_name" "archipel-coordinator"
      "sample_ratio" .sampleRatio
      "metrics_interval_s" .metricsIntervalSeconds -}}
{{- if .caExistingConfigMap -}}{{- $_ := set $telemetry "ca_file" "/etc/archipel/telemetry-ca/ca.crt" -}}{{- end -}}
{{- if .headersExistingSecret -}}{{- $_ := set $telemetry "headers_file" "/etc/archipel/telemetry-headers/headers" -}}{{- end -}}
{{- $_ := set $config "telemetry" $telemetry -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What the schema cannot say: values that need or exclude each other. */}}
{{- define "archipel-coordinator.check" -}}
{{- with .Values -}}
{{- if and .tls.certManager.enabled .tls.existingSecret -}}
{{- fail "tls.existingSecret and tls.certManager.enabled exclude each other" -}}
{{- end -}}
{{- if not (or .tls.certManager.enabled .tls.existingSecret) -}}
{{- fail "tls.existingSecret is needed: a Secret with tls.crt and tls.key (or set tls.certManager.enabled)" -}}
{{- end -}}
{{- if .tls.certManager.enabled -}}
{{- if not .tls.certManager.issuerRef.name -}}{{- fail "tls.certManager.issuerRef.name is needed" -}}{{- end -}}
{{- if not .tls.certManager.federation -}}{{- fail "tls.certManager.federation is needed" -}}{{- end -}}
{{- if not .tls.certManager.dnsNames -}}{{- fail "tls.certManager.dnsNames is needed: the names under which the coordinator is called" -}}{{- end -}}
{{- end -}}
{{- if and .database.url (not .database.existingSecret) -}}
{{- fail "database.existingSecret is needed with database.url: a Secret with password" -}}
{{- end -}}
{{- if and .database.existingSecret (not (or .database.url .configExistingSecret)) -}}
{{- fail "database.url is needed with database.existingSecret" -}}
{{- end -}}
{{- if has .ray.mode (list "existing" "kuberay") -}}
{{- if not .ray.tokenExistingSecret -}}{{- fail (printf "ray.tokenExistingSecret is needed when ray.mode is %s: a Secret with auth_token" .ray.mode) -}}{{- end -}}
{{- end -}}
{{- if eq .ray.mode "existing" -}}
{{- if not .ray.existing.address -}}{{- fail "ray.existing.address is needed when ray.mode is existing" -}}{{- end -}}
{{- if not .ray.existing.tlsExistingSecret -}}{{- fail "ray.existing.tlsExistingSecret is needed when ray.mode is existing" -}}{{- end -}}
{{- end -}}
{{- if eq .ray.mode "kuberay" -}}
{{- if and .ray.kuberay.caCertManager .ray.kuberay.caExistingSecret -}}
{{- fail "ray.kuberay.caExistingSecret and ray.kuberay.caCertManager exclude each other" -}}
{{- end -}}
{{- if not (or .ray.kuberay.caCertManager .ray.kuberay.caExistingSecret) -}}
{{- fail "ray.kuberay.caExistingSecret is needed when ray.mode is kuberay: a Secret with tls.crt and tls.key of an authority (or set ray.kuberay.caCertManager)" -}}
{{- end -}}
{{- end -}}
{{- if .networkPolicy.enabled -}}
{{- if not .networkPolicy.clientPeers -}}
{{- fail "networkPolicy.clientPeers is needed: where nodes and researchers call from, such as [{ipBlock: {cidr: 192.0.2.0/24}}]" -}}
{{- end -}}
{{- if and .database.url (not .networkPolicy.databasePeers) -}}
{{- fail "networkPolicy.databasePeers is needed with database.url: where the database is" -}}
{{- end -}}
{{- if and (eq .ray.mode "existing") (not .networkPolicy.rayPeers) -}}
{{- fail "networkPolicy.rayPeers is needed when ray.mode is existing: where the Ray cluster is" -}}
{{- end -}}
{{- if and .telemetry.endpoint (not .networkPolicy.otlpPeers) -}}
{{- fail "networkPolicy.otlpPeers is needed with telemetry.endpoint: where the collector is" -}}
{{- end -}}
{{- end -}}
{{- if not .telemetry.endpoint -}}
{{- if or .telemetry.caExistingConfigMap .telemetry.headersExistingSecret -}}
{{- fail "telemetry.endpoint is needed: the other values of telemetry have no effect without it" -}}
{{- end -}}
{{- end -}}
{{- if and .service.loadBalancerSourceRanges (ne .service.type "LoadBalancer") -}}
{{- fail "service.loadBalancerSourceRanges has an effect only when service.type is LoadBalancer" -}}
{{- end -}}
{{- if and .service.nodePort (eq .service.type "ClusterIP") -}}
{{- fail "service.nodePort has no effect when service.type is ClusterIP" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the coordinator may call. */}}
{{- define "archipel-coordinator.egress" -}}
{{- $rules := list -}}
{{- with .Values.networkPolicy -}}
{{- if .dns.peers -}}
{{- $ports := list -}}
{{- range .dns.ports -}}
{{- $ports = concat $ports (list (dict "protocol" "UDP" "port" (int .)) (dict "protocol" "TCP" "port" (int .))) -}}
{{- end -}}
{{- $rules = append $rules (dict "to" .dns.peers "ports" $ports) -}}
{{- end -}}
{{- if $.Values.database.url -}}
{{- $rules = append $rules (dict "to" .databasePeers "ports" (list (dict "protocol" "TCP" "port" (int .databasePort)))) -}}
{{- end -}}
{{- if eq $.Values.ray.mode "existing" -}}
{{- $port := include "archipel-coordinator.port" $.Values.ray.existing.address | int -}}
{{- $rules = append $rules (dict "to" .rayPeers "ports" (list (dict "protocol" "TCP" "port" $port))) -}}
{{- end -}}
{{- if eq $.Values.ray.mode "kuberay" -}}
{{- $head := dict "podSelector" (dict "matchLabels" (dict "ray.io/cluster" (include "archipel-coordinator.rayCluster" $) "ray.io/node-type" "head")) -}}
{{- $rules = append $rules (dict "to" (list $head) "ports" (list (dict "protocol" "TCP" "port" 10001))) -}}
{{- end -}}
{{- if $.Values.telemetry.endpoint -}}
{{- $port := include "archipel-coordinator.port" $.Values.telemetry.endpoint | int -}}
{{- $rules = append $rules (dict "to" .otlpPeers "ports" (list (dict "protocol" "TCP" "port" $port))) -}}
{{- end -}}
{{- $rules = concat $rules .extraEgress -}}
{{- end -}}
# DNS, and where configured the database, Ray's head and the collector.
{{ toYaml (dict "egress" $rules) }}
{{- end -}}
