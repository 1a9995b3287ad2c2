"""Clients that were written for other systems, unchanged, against the gateway."""
