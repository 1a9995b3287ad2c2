"""The work beside the serving: indexes built and checked, what expired erased. One run at a time."""
