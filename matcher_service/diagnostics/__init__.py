"""The checks of `doctor`: settings, database and encoder."""
