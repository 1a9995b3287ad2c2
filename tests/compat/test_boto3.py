"""Rekognition's own Python client, unchanged, against the gateway: every call about faces."""
