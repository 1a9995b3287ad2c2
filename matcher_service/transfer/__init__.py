"""Import and export of faces in bulk."""
