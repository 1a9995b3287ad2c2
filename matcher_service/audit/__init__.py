"""Audit events: of changes, written in the change's transaction, and of decisions, written in batches."""
