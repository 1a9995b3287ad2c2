{{- /* Generated from deploy/kubernetes by `make chart`. */}}
{{- define "facerec.defaults.encoder" }}
ENCODER_ADDRESS: 0.0.0.0:50051
ENCODER_ADMIN_ADDRESS: 0.0.0.0:9051
ENCODER_DRAIN_SECONDS: '5'
ENCODER_GRACE_SECONDS: '20'
ENCODER_INSECURE: 'true'
ENCODER_LOG_FORMAT: json
ENCODER_MAX_BYTES_IN_FLIGHT: '67108864'
ENCODER_MAX_CONNECTION_AGE_SECONDS: '30'
ENCODER_MAX_PIXELS: '26000000'
{{- if .Values.encoder.gpu }}
ENCODER_THREADS: '4'
{{- else }}
ENCODER_THREADS: '2'
{{- end }}
{{- if .Values.encoder.gpu }}
ENCODER_PROVIDER: cuda
{{- end }}
{{- end }}
{{- define "facerec.settings.encoder" }}
{{- $defaults := include "facerec.defaults.encoder" . | fromYaml }}
{{- mergeOverwrite $defaults .Values.encoder.settings | toYaml }}
{{- end }}
{{- define "facerec.defaults.gateway" }}
GATEWAY_ADDRESS: 0.0.0.0:8080
GATEWAY_ADMIN_ADDRESS: 0.0.0.0:9080
GATEWAY_DRAIN_SECONDS: '15'
GATEWAY_ENCODER_ADDRESS: dns:///encoder:50051
GATEWAY_GRACE_SECONDS: '20'
GATEWAY_INSECURE: 'true'
GATEWAY_LOG_FORMAT: json
GATEWAY_MATCHER_ADDRESS: dns:///matcher:50052
GATEWAY_MAX_BYTES_IN_FLIGHT: '50331648'
GATEWAY_MAX_REQUEST_BYTES: '16777216'
{{- end }}
{{- define "facerec.settings.gateway" }}
{{- $defaults := include "facerec.defaults.gateway" . | fromYaml }}
{{- mergeOverwrite $defaults .Values.gateway.settings | toYaml }}
{{- end }}
{{- define "facerec.defaults.matcher" }}
MATCHER_ADDRESS: 0.0.0.0:50052
MATCHER_ADMIN_ADDRESS: 0.0.0.0:9052
MATCHER_DRAIN_SECONDS: '5'
MATCHER_ENCODER_ADDRESS: dns:///encoder:50051
MATCHER_GRACE_SECONDS: '20'
MATCHER_INSECURE: 'true'
MATCHER_LOG_FORMAT: json
MATCHER_MAX_BYTES_IN_FLIGHT: '50331648'
MATCHER_MAX_CONNECTION_AGE_SECONDS: '30'
MATCHER_MAX_REQUEST_BYTES: '16777216'
{{- end }}
{{- define "facerec.settings.matcher" }}
{{- $defaults := include "facerec.defaults.matcher" . | fromYaml }}
{{- mergeOverwrite $defaults .Values.matcher.settings | toYaml }}
{{- end }}
