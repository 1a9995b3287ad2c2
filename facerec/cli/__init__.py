"""The command line: `facerec`."""

import os

# Before gRPC is loaded: its core writes lines of its own on stderr, where an error is one line.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from facerec.cli.app import main

__all__ = ["main"]
