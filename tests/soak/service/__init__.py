"""Both services together under faults: replaced, killed, cut off, attacked, and run for a long time."""
