"""Sources of encodings made before."""
