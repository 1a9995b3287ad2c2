"""Opening connections: the URL and its file, pgvector, pools, and the maintenance connection."""
