"""Logs, metrics and traces, and the health of the process itself."""
