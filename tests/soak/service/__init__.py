"""Both services together under faults: replaced, killed, cut off, locked out, attacked, and left to run."""
