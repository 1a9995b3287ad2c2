"""Where encodings come from that were made before: pickles, arrays, tables, another database."""
