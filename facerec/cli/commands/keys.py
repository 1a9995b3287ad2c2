"""`facerec keys`: makes API keys, of which a service stores only the hash."""

import datetime
import hashlib
import secrets
from typing import Annotated

import typer

from facerec.cli.terminal import output
from facerec.cli.terminal.labels import label_filter
from facerec.cli.terminal.options import Json

PREFIX = "fr_"  # recognized by secret scanners, and by people
ROLES = ("encode", "verify", "identify", "enroll", "manage", "admin")

keys = typer.Typer(help="Make an API key for callers of the services.", rich_markup_mode=None)


@keys.callback()
def about() -> None:
    """Make an API key for callers of the services."""


@keys.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The holder's name in logs and the audit log.")],
    role: Annotated[list[str], typer.Option("--role", help=f"A role: {', '.join(ROLES)}; may be repeated.")],
    collection: Annotated[
        list[str] | None,
        typer.Option("--collection", metavar="ID", help="Only for this collection; may be repeated."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Only for people with this label; several values of a key: any of them. May be repeated.",
        ),
    ] = None,
    scores: Annotated[bool, typer.Option("--scores", help="Let it see distances.")] = False,
    encodings: Annotated[
        bool, typer.Option("--encodings", help="Let it send vectors, not only images.")
    ] = False,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires.  [default: never]")] = None,
    probes_per_second: Annotated[
        float | None, typer.Option(min=0.001, help="Rate limit in probes per second.")
    ] = None,
    failed_tries_per_day: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Limit of failed tries per day against one person.  [default: 50; 5 with --encodings; "
            "unlimited with --scores]",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Print a new key and its entry for a keys file.

    The key itself is not stored; add the entry to the file that a service's `keys_file` names.
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
    if labels := label_filter(label):
        each = (f"{_text(key)} = [{', '.join(map(_text, values))}]" for key, values in labels.items())
        lines.append(f"labels = {{ {', '.join(each)} }}")
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
    output.error_line(f"the key, shown only once: {key}")
    for line in lines:
        output.line(line)


def _text(text: str) -> str:
    """A TOML string. Raises typer.BadParameter for what would need escaping, which no name or id has."""
    if not text.isprintable() or '"' in text or "\\" in text:
        raise typer.BadParameter("a name has no quotes, backslashes or control characters")
    return f'"{text}"'
