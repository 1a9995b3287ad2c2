"""Reads from streaming standbys that are as fresh as the primary's: docs/consistency.md."""
