"""The console script `encoder_service`."""

from facerec.serving import entry


def main() -> int:
    """Run the service's command line and return its exit code; 2 where one of its packages is missing."""
    return entry.run("encoder")
