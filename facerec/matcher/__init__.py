"""The matcher service's contract."""
