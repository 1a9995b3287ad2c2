"""Logs, metrics, traces, event-loop lag, memory and the watchdog."""
