"""The overlays on a real cluster: `make check-cluster KUBECONFIG=FILE`."""
