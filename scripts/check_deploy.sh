#!/bin/sh
# Renders every overlay, with the components that none has too, validates it against Kubernetes' schemas and scans it for
# insecure settings; does the same with what the Helm chart gives, by comparing it with the overlays.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/deploy/bin:$PATH"
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
check() {
    kubectl kustomize "$2" > "$rendered/$1.yaml"
    # Custom resources have no schema here, which gives a warning.
    kubernetes-validate -k 1.34 --strict "$rendered/$1.yaml"
    checkov --framework kubernetes --skip-download --quiet --compact -f "$rendered/$1.yaml"
    echo "$1: valid, and every scanner finding is explained"
}
for overlay in deploy/kubernetes/overlays/*/; do
    check "$(basename "$overlay")" "$overlay"
done
for component in ingress gateway-api; do
    mkdir "$rendered/$component"
    tree=$(realpath --relative-to="$rendered/$component" deploy/kubernetes)
    printf 'resources: [%s]\ncomponents: [%s]\n' "$tree/overlays/prod" "$tree/components/$component" \
        > "$rendered/$component/kustomization.yaml"
    check "$component" "$rendered/$component"
done
checkov --framework dockerfile --skip-download --quiet --compact -d deploy/docker
python -m scripts.check_chart
