"""The console scripts `encoder_service` and `matcher_service`.

They are installed even if the packages that the service needs are not.
"""

import importlib
import sys


def run(service: str) -> int:
    """Run the command line of a service, `encoder` or `matcher`, and return its exit code.

    If a package is missing this prints which extra installs it, and returns 2.
    """
    try:
        command_line = importlib.import_module(f"{service}_service.__main__")
    except ModuleNotFoundError as error:
        print(
            f"error: {error.name} is not installed: install facerec with its extra `{service}`, "
            f"as in pip install '.[{service}]'",
            file=sys.stderr,
        )
        return 2
    return int(command_line.main())
