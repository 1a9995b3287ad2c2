"""The command line: `facerec`."""

from facerec.cli.app import main

__all__ = ["main"]
