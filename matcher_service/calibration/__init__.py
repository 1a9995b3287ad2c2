"""Error rates measured on a collection's own people, and the expected false positives of a threshold."""
