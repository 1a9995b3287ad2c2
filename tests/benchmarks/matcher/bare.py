"""A matcher that counts nothing, to measure against: `python -m tests.benchmarks.matcher.bare serve ...`."""

import sys
from typing import Any

import grpc.aio

from facerec.serving import server
from matcher_service.__main__ import main


class Nothing(grpc.aio.ServerInterceptor):
    """Takes the place of the interceptor that counts and logs, and leaves every call as it is."""

    def __init__(self, log_calls: str) -> None:
        del log_calls

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Hand the handler on."""
        return await continuation(handler_call_details)


if __name__ == "__main__":
    server.MetricsInterceptor = Nothing  # type: ignore[assignment,attr-defined]
    sys.exit(main(sys.argv[1:]))
