"""Error rates measured on a collection's own people, and what is expected of a threshold."""
