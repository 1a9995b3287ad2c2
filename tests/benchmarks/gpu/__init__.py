"""The encoder on a GPU, measured and broken by one command: `scripts/gpu_check`."""
