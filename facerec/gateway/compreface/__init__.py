"""CompreFace's paths: what its clients call, answered by the services. docs/compreface.md is its guide."""
