"""Decodes images to pixels; every limit is checked before a pixel is decoded."""
