"""The middleware around every handler, one module each, and the current call."""
