"""The console script `encoder_service`, which is there without the packages that it takes."""

import sys


def main() -> int:
    """Run the service's command line; where a package is missing say which extra brings it, and return 2."""
    try:
        from encoder_service.__main__ import main as run  # noqa: PLC0415  (what may be missing is imported by it)
    except ModuleNotFoundError as error:
        print(
            f"error: {error.name} is not installed: install facerec with its extra `encoder`, "
            "as in pip install '.[encoder]'",
            file=sys.stderr,
        )
        return 2
    return run()
