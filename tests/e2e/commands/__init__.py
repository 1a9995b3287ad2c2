"""The services' own commands."""
