"""`facerec up`: both services and the gateway on this machine."""

import contextlib
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from facerec.cli.terminal.options import Data, data_home
from facerec.printable import printable

if TYPE_CHECKING:
    from facerec.serving.server.address import Address

ENCODER_ADDRESS, MATCHER_ADDRESS = "127.0.0.1:50051", "127.0.0.1:50052"
GATEWAY_ADDRESS = "127.0.0.1:8080"


def up(
    data: Data = None,
    encoder_address: Annotated[str, typer.Option(help="HOST:PORT of the encoder.")] = ENCODER_ADDRESS,
    matcher_address: Annotated[str, typer.Option(help="HOST:PORT of the matcher.")] = MATCHER_ADDRESS,
    gateway_address: Annotated[
        str, typer.Option(help="HOST:PORT of the gateway, which speaks HTTP; '' starts none.")
    ] = GATEWAY_ADDRESS,
    database_url: Annotated[
        str,
        typer.Option(
            envvar="FACEREC_DATABASE_URL",
            help="Your own PostgreSQL with pgvector, instead of the embedded one.",
        ),
    ] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen in plain text on addresses other machines can reach.")
    ] = False,
    standbys: Annotated[
        int,
        typer.Option(
            min=0, max=8, help="Standbys of the embedded PostgreSQL that searches read; each copies all data."
        ),
    ] = 0,
    compreface: Annotated[
        bool, typer.Option("--compreface", help="The gateway answers the paths of CompreFace's API too.")
    ] = False,
) -> None:
    """Run both services and the gateway here, until Ctrl-C.

    Data is kept in an embedded PostgreSQL.
    """
    try:
        from facerec.local import stack
        from facerec.serving.server.errors import StartError
    except ModuleNotFoundError as error:
        _say(f"error: {error.name} is not installed: pip install '.[local]' in a clone")
        raise typer.Exit(2) from None
    options = stack.StackOptions(
        data_dir=data or data_home(),
        encoder_address=encoder_address,
        matcher_address=matcher_address,
        gateway_address=gateway_address,
        database_url=database_url,
        insecure=insecure,
        standbys=standbys,
        compreface=compreface,
    )
    try:
        stack.run(options, ready=_report, say=_say)
    except StartError as error:
        _say(f"error: {error}")
        raise typer.Exit(2) from None


def _report(encoder: "Address", matcher: "Address", gateway: "Address | None", console: str) -> None:
    from facerec.local import ports

    variables = ""
    if (str(encoder), str(matcher)) != (ENCODER_ADDRESS, MATCHER_ADDRESS):
        variables = f"FACEREC_ENCODER={ports.from_here(encoder)} FACEREC_MATCHER={ports.from_here(matcher)} "
    command = shlex.quote(sys.argv[0])
    web = f", gateway http://{gateway}" if gateway else ""
    ready = (
        f"ready: encoder {encoder}, matcher {matcher}{web}; try: {variables}{command} enroll alice PHOTO.jpg"
    )
    lines = [ready, *([f"console: {console}"] if console else [])]
    print("\n".join(map(printable, lines)), flush=True)  # at once: a reader may leave after the first line


def _say(lines: str) -> None:
    with contextlib.suppress(OSError):  # stderr's reader left, which is no reason to stop
        print("\n".join(map(printable, lines.split("\n"))), file=sys.stderr, flush=True)
