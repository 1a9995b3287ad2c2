#!/bin/sh
# Renders every overlay, validates it against Kubernetes' own schemas and scans it for what is unsafe.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/deploy/bin:$PATH"
command -v kubectl >/dev/null || { echo "kubectl is needed to render the overlays" >&2; exit 1; }
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
for overlay in deploy/kubernetes/overlays/*/; do
    name=$(basename "$overlay")
    kubectl kustomize "$overlay" > "$rendered/$name.yaml"
    # Kinds of operators have no schema here, which is a warning.
    kubernetes-validate -k 1.34 --strict "$rendered/$name.yaml"
    checkov --framework kubernetes --skip-download --quiet --compact -f "$rendered/$name.yaml"
    echo "$name: valid, and nothing unsafe that is not explained"
done
checkov --framework dockerfile --skip-download --quiet --compact -d deploy/docker
