"""The encoder's domain types: faces, options, pyramid levels, errors."""
