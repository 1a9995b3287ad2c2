"""Rekognition's calls."""
