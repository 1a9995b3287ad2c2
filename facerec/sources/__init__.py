"""Reads encodings of other programs: from pickles, npz, CSV, JSON and other databases."""
