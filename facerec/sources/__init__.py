"""Readers of encodings that were made elsewhere: pickles, npz, CSV, JSON, another database."""
