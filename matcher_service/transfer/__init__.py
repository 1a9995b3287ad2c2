"""Faces in bulk: import and export."""
