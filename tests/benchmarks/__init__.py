"""Measurements: what the services cost beside what people used before."""
