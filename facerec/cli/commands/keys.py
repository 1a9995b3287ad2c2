"""`facerec keys`: made here, known to a service by their hash alone."""

import datetime
import hashlib
import secrets
from typing import Annotated

import typer

from facerec.cli.terminal import output
from facerec.cli.terminal.options import Json

PREFIX = "fr_"  # found by scanners of secrets, and by people
ROLES = ("encode", "verify", "identify", "enroll", "manage", "admin")

keys = typer.Typer(help="Make an API key for callers of the services.", rich_markup_mode=None)


@keys.callback()
def about() -> None:
    """Make an API key for callers of the services."""


@keys.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What logs and the audit call its holder.")],
    role: Annotated[
        list[str], typer.Option("--role", help=f"What it may do: {', '.join(ROLES)}; may be repeated.")
    ],
    collection: Annotated[
        list[str] | None, typer.Option("--collection", metavar="ID", help="Only there; may be repeated.")
    ] = None,
    scores: Annotated[bool, typer.Option("--scores", help="Answer distances to it.")] = False,
    encodings: Annotated[
        bool, typer.Option("--encodings", help="Let it send vectors, and not images alone.")
    ] = False,
    days: Annotated[
        int | None, typer.Option(min=1, help="How long it is good for.  [default: for ever]")
    ] = None,
    probes_per_second: Annotated[float | None, typer.Option(min=0.001, help="Most probes a second.")] = None,
    failed_tries_per_day: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Most failed tries a day against one person.  [default: 50; 5 with --encodings; "
            "any number with --scores]",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Print a new key and its entry for a keys file.

    The key is kept nowhere; the entry goes into the file that a service's `keys_file` names.
    """
    unknown = sorted(set(role) - set(ROLES))
    if unknown:
        raise typer.BadParameter(f"there is no role {unknown[0]}", param_hint="--role")
    key = PREFIX + secrets.token_urlsafe(32)
    lines = [
        "[[keys]]",
        f"name = {_text(name)}",
        f'sha256 = "{hashlib.sha256(key.encode()).hexdigest()}"',
        f"roles = [{', '.join(map(_text, role))}]",
    ]
    if collection:
        lines.append(f"collections = [{', '.join(map(_text, collection))}]")
    if scores:
        lines.append("scores = true")
    if encodings:
        lines.append("encodings = true")
    if days:
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        lines.append(f"expires = {end:%Y-%m-%dT%H:%M:%SZ}")
    if probes_per_second:
        lines.append(f"probes_per_second = {probes_per_second:g}")
    if failed_tries_per_day:
        lines.append(f"failed_tries_per_day = {failed_tries_per_day:g}")
    if json:
        output.as_json({"key": key, "entry": "\n".join(lines)})
        return
    output.error_line(f"the key, shown this once: {key}")
    for line in lines:
        output.line(line)


def _text(text: str) -> str:
    """A TOML string. Raises typer.BadParameter for what would need escaping, which no name or id has."""
    if not text.isprintable() or '"' in text or "\\" in text:
        raise typer.BadParameter("quotes, backslashes and control characters are no part of a name")
    return f'"{text}"'
