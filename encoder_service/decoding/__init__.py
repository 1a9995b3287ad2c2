"""Encoded images to pixels, with every limit checked before a pixel is decoded."""
