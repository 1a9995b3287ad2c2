"""The encoder service's contract."""
