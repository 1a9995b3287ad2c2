"""Standbys that lag, fail and are promoted under load: `python -m tests.soak.replication`."""
