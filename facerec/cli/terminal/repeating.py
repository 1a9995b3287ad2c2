"""Long work that goes on at the matcher when its command ends, and can be asked for again."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Annotated

import typer

from facerec.cli.terminal import output
from facerec.errors import FacerecError, Reason

RequestId = Annotated[
    str,
    typer.Option(metavar="ID", help="Go on without this command, and be asked for again by this id."),
]


@contextlib.contextmanager
def asked_for_again(request_id: str) -> Iterator[str]:
    """A request id, generated without one; says how to ask again if Ctrl-C or the deadline ends the block."""
    chosen = request_id or str(uuid.uuid4())
    try:
        yield chosen
    except (KeyboardInterrupt, FacerecError) as error:
        if isinstance(error, KeyboardInterrupt) or error.reason is Reason.DEADLINE_EXCEEDED:
            output.error_line(
                "what the matcher has begun goes on: for its result run the same command with "
                f"--request-id {chosen}"
            )
        raise
