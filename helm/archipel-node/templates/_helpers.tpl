{{- define "archipel-node.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "archipel-node.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "archipel-node.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "archipel-node.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "archipel-node.selectorLabels" -}}
app.kubernetes.io/name: {{ include "archipel-node.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "archipel-node.labels" -}}
{{ include "archipel-node.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: archipel
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "archipel-node.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "archipel-node.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "archipel-node.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "archipel-node.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{- include "archipel-node.fullname" . }}-tls
{{- else -}}
{{- .Values.tls.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "archipel-node.configMap" -}}
{{- default (include "archipel-node.fullname" .) .Values.configExistingConfigMap -}}
{{- end -}}

{{- define "archipel-node.policyConfigMap" -}}
{{- default (include "archipel-node.fullname" .) .Values.policyExistingConfigMap -}}
{{- end -}}

{{- define "archipel-node.port" -}}
{{- splitList ":" . | last -}}
{{- end -}}

{{/*
GiB of the spill volume: what the engine may fill, what other nodes send, and a little more, so that the engine reports a
full volume before the disk does.
*/}}
{{- define "archipel-node.spillGiB" -}}
{{- $received := ternary (int .Values.spill.receivedGiB) 0 (ne .Values.sealing.existingSecret "") -}}
{{- add (int .Values.spill.sizeGiB) $received 1 -}}
{{- end -}}

{{/* Requests and limits, with the disk that spilling and temporary files need unless it is given. */}}
{{- define "archipel-node.resources" -}}
{{- $elsewhere := or .Values.spill.storageClassName .Values.spill.medium -}}
{{- $disk := ternary "2Gi" (printf "%dGi" (add (include "archipel-node.spillGiB" .) 2)) (not (empty $elsewhere)) -}}
{{- $requests := merge (dict) (default dict .Values.resources.requests) (dict "ephemeral-storage" $disk) -}}
{{- $limits := merge (dict) (default dict .Values.resources.limits) (dict "ephemeral-storage" $disk) -}}
{{- toYaml (dict "requests" $requests "limits" $limits) -}}
{{- end -}}

{{/* node.yaml. Built as data and printed once, so that no value can break out of its place. */}}
{{- define "archipel-node.config" -}}
{{- $sources := list -}}
{{- range .Values.sources -}}
{{- $path := ternary (printf "/data/%s/%s" .name (default "" .file)) (printf "/data/%s" .name) (eq .kind "duckdb") -}}
{{- $source := dict "name" .name "kind" .kind "path" $path -}}
{{- if .format -}}{{- $_ := set $source "format" .format -}}{{- end -}}
{{- if .delimiter -}}{{- $_ := set $source "delimiter" .delimiter -}}{{- end -}}
{{- $sources = append $sources $source -}}
{{- end -}}
{{- $config := dict
      "node" .Values.node.name
      "coordinator" .Values.coordinator.address
      "tls" (dict
        "certificate" "/etc/archipel/tls/tls.crt"
        "private_key" "/etc/archipel/tls/tls.key"
        "authority" "/etc/archipel/federation/ca.crt")
      "federation" (dict
        "manifest" "/etc/archipel/federation/manifest.jwt"
        "authority_key" "/etc/archipel/federation/authority.pub")
      "signing_key" "/etc/archipel/signing/signing.pem"
      "state_dir" "/var/lib/archipel"
      "policy" "/etc/archipel/config/policy.yaml"
      "health_listen" (printf "[::]:%d" (int .Values.health.port))
      "compress" .Values.compress
      "audit" .Values.audit
      "limits" (merge (dict
        "spill_dir" "/var/spool/archipel/spill"
        "max_spill" (printf "%dGiB" (int .Values.spill.sizeGiB))) .Values.limits)
      "sources" $sources
      "tables" .Values.tables -}}
{{- if .Values.sealing.existingSecret -}}{{- $_ := set $config "sealing_key" "/etc/archipel/sealing/sealing.pem" -}}{{- end -}}
{{- if .Values.linkage.existingSecret -}}{{- $_ := set $config "linkage_secret" "/etc/archipel/linkage/linkage.json" -}}{{- end -}}
{{- with .Values.telemetry -}}
{{- if .endpoint -}}
{{- $telemetry := dict
      "otlp_endpoint" .endpoint
      "service_name" "archipel-node"
      "sample_ratio" .sampleRatio
      "metrics_interval_s" .metricsIntervalSeconds
      "audit_events" .auditEvents -}}
{{- if .caExistingConfigMap -}}{{- $_ := set $telemetry "ca_file" "/etc/archipel/telemetry-ca/ca.crt" -}}{{- end -}}
{{- if .headersExistingSecret -}}{{- $_ := set $telemetry "headers_file" "/etc/archipel/telemetry-headers/headers" -}}{{- end -}}
{{- $_ := set $config "telemetry" $telemetry -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What the schema cannot say: values that need or exclude each other. */}}
{{- define "archipel-node.check" -}}
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
{{- if not .node.name -}}{{- fail "node.name is needed: it stands in the certificate" -}}{{- end -}}
{{- end -}}
{{- if .configExistingConfigMap -}}
{{- if .tables -}}{{- fail "tables has no effect with configExistingConfigMap: the tables stand in its node.yaml" -}}{{- end -}}
{{- else -}}
{{- if not .node.name -}}{{- fail "node.name is needed: the node's name in the federation's manifest" -}}{{- end -}}
{{- if not .tables -}}{{- fail "tables is needed: at least one table" -}}{{- end -}}
{{- end -}}
{{- if and .policyExistingConfigMap .policy.tables -}}
{{- fail "policy.tables and policyExistingConfigMap exclude each other" -}}
{{- end -}}
{{- $names := list -}}
{{- range .sources -}}{{- $names = append $names .name -}}{{- end -}}
{{- if ne (len $names) (len (uniq $names)) -}}{{- fail "sources: two have the same name" -}}{{- end -}}
{{- range .tables -}}
{{- if not (has .source $names) -}}
{{- fail (printf "tables: the table '%s' names the source '%s'; there are: %s" .name .source (join ", " $names)) -}}
{{- end -}}
{{- end -}}
{{- if and .linkage.existingSecret (not .sealing.existingSecret) -}}
{{- fail "sealing.existingSecret is needed with linkage.existingSecret: pseudonyms go to other nodes only" -}}
{{- end -}}
{{- if and .sealing.existingSecret (gt (int64 .limits.max_received_bytes) (mul (int64 .spill.receivedGiB) 1073741824)) -}}
{{- fail "spill.receivedGiB is too small for limits.max_received_bytes: an input of that size has to fit into it" -}}
{{- end -}}
{{- if and .spill.medium .spill.storageClassName -}}
{{- fail "spill.medium and spill.storageClassName exclude each other" -}}
{{- end -}}
{{- if .spill.medium -}}
{{- $memory := toString (dig "limits" "memory" "" .resources) -}}
{{- if and (regexMatch "^[0-9]+Gi$" $memory) (le (trimSuffix "Gi" $memory | int) (include "archipel-node.spillGiB" $ | int)) -}}
{{- fail (printf "resources.limits.memory is too small for spill.medium Memory: the volume alone takes up to %sGi of it" (include "archipel-node.spillGiB" $)) -}}
{{- end -}}
{{- end -}}
{{- if .networkPolicy.enabled -}}
{{- if not .networkPolicy.coordinatorPeers -}}
{{- fail "networkPolicy.coordinatorPeers is needed: where the coordinator is, such as [{ipBlock: {cidr: 192.0.2.10/32}}]" -}}
{{- end -}}
{{- if and .telemetry.endpoint (not .networkPolicy.otlpPeers) -}}
{{- fail "networkPolicy.otlpPeers is needed with telemetry.endpoint: where the collector is" -}}
{{- end -}}
{{- end -}}
{{- if not .telemetry.endpoint -}}
{{- if or .telemetry.caExistingConfigMap .telemetry.headersExistingSecret .telemetry.auditEvents -}}
{{- fail "telemetry.endpoint is needed: the other values of telemetry have no effect without it" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
