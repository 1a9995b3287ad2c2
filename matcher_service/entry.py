"""The console script `matcher_service`, which is there without the packages that it takes."""

import sys


def main() -> int:
    """Run the service's command line; where a package is missing say which extra brings it, and return 2."""
    try:
        from matcher_service.__main__ import main as run  # noqa: PLC0415  (what may be missing is imported by it)
    except ModuleNotFoundError as error:
        print(
            f"error: {error.name} is not installed: install facerec with its extra `matcher`, "
            "as in pip install '.[matcher]'",
            file=sys.stderr,
        )
        return 2
    return run()
