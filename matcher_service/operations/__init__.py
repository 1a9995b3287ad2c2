"""Long work that goes on without its caller, and whose answer can be asked for again by a request id."""
