#!/bin/sh
# Prints the prod overlay's PrometheusRule, generated from the plain rules.
set -eu
cd "$(dirname "$0")/.."
cat <<'HEAD'
# Generated from deploy/monitoring/rules.yaml by `make alert-rules`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: facerec
spec:
HEAD
sed -n '/^groups:/,$ s/^/  /p' deploy/monitoring/rules.yaml
