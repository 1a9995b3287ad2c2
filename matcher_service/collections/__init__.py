"""Collections and their settings."""
