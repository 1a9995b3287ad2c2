"""How messages of requests are read: whose next, within how much memory, and whether one is worth parsing."""
