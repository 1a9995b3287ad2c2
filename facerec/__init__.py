"""Face verification on your own machines: stubs, clients and command line."""

__version__ = "0.1.0"
