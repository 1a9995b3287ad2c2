"""How a connection comes about: address, URL file, pgvector's type, pools, and the schema's owner."""
