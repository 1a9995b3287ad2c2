"""What the encoder works with: faces, options, models, errors."""
