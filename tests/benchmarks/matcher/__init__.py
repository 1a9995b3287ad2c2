"""The matcher at a million faces, compared with its alternatives: `make bench-matcher`."""
