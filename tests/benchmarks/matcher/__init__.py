"""What the matcher does at a million faces, beside what people use otherwise: `make bench-matcher`."""
