"""Commands that run or back up both services on this machine."""
