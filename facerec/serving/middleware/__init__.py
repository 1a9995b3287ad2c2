"""What is around every handler, one module each, and the call it is about."""
