"""Convert checked messages to the domain's dataclasses and back; nothing else reads or builds messages."""
