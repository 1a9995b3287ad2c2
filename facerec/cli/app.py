"""Registers the commands, and turns every failure into one line and an exit code."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

import facerec
from facerec.cli.commands.audit import audit
from facerec.cli.commands.calibrate import calibrate
from facerec.cli.commands.collections import collections
from facerec.cli.commands.decide import compare, identify, verify
from facerec.cli.commands.duplicates import duplicates
from facerec.cli.commands.encode import encode
from facerec.cli.commands.enroll import enroll
from facerec.cli.commands.gateway import PASSED_ON, gateway
from facerec.cli.commands.keys import keys
from facerec.cli.commands.people import people
from facerec.cli.commands.recall import measure_recall
from facerec.cli.commands.status import status
from facerec.cli.commands.whoami import whoami
from facerec.cli.local.backup import backup, restore
from facerec.cli.local.demo import demo
from facerec.cli.local.up import up
from facerec.cli.terminal import output
from facerec.cli.terminal.errors import Problem
from facerec.cli.transfer.commands import export, import_
from facerec.environment import boolean
from facerec.errors import FacerecError
from facerec.interruption import INTERRUPTED

FAILURE = 2
LISTS = ("facerec people", "facerec collections")

app = typer.Typer(
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (up, status, whoami, encode, enroll, verify, identify, compare, demo):
    app.command()(command)
app.command()(calibrate)
app.command(name="measure-recall")(measure_recall)
app.command()(duplicates)
app.command()(audit)
app.command(name="import")(import_)
app.command()(export)
app.command(context_settings=PASSED_ON)(gateway)
app.command()(backup)
app.command()(restore)
app.add_typer(people, name="people")
app.add_typer(collections, name="collections")
app.add_typer(keys, name="keys")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"facerec {facerec.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Enroll people from photos, verify a claim, find out who is in a picture.

    `facerec up` starts both services on this machine. Exit codes: 0 done or match, 1 no match or photos
    refused, 2 error, 130 interrupted.

    Keys and certificates come from the environment: FACEREC_API_KEY or FACEREC_API_KEY_FILE (its path),
    FACEREC_TLS=1 or FACEREC_TLS_CA_FILE, FACEREC_TLS_CERT_FILE and FACEREC_TLS_KEY_FILE,
    FACEREC_TLS_SERVER_NAME; FACEREC_PLAINTEXT_KEY=1 sends the key without TLS.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a failure is one line on stderr, never a traceback."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    debug = False
    try:
        debug = boolean("FACEREC_DEBUG")
        code = app(args=arguments, prog_name="facerec", standalone_mode=False) or 0
        return _interrupted(arguments) if code == INTERRUPTED else code  # typer's for Ctrl-C
    except TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "facerec"
        return _fail(f"{error.format_message()} ({_hint(error, path)})", "USAGE", arguments)
    except (Problem, FacerecError) as error:
        return _fail(str(error), error.reason, arguments)
    except (typer.Abort, KeyboardInterrupt):  # at a prompt
        return _interrupted(arguments)
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # the help's reader left, for which typer exits 1
            return 0
        raise
    except Exception as error:
        if debug:
            raise
        return _fail(
            f"unexpected {type(error).__name__}: {error} (FACEREC_DEBUG=1 shows where)", "INTERNAL", arguments
        )


def _hint(error: TyperException, path: str) -> str:
    """The hint after a usage error."""
    asks_for_list = error.format_message().startswith("No such command 'list'")
    return f"`{path}` alone lists them" if asks_for_list and path in LISTS else f"see {path} --help"


def _fail(message: str, reason: str, arguments: Sequence[str]) -> int:
    _print_json_error(message, reason, arguments)
    output.error_line(f"error: {' '.join(message.split())}")
    return FAILURE


def _interrupted(arguments: Sequence[str]) -> int:
    _print_json_error("interrupted", "INTERRUPTED", arguments)
    output.error_line("interrupted")
    return INTERRUPTED


def _print_json_error(message: str, reason: str, arguments: Sequence[str]) -> None:
    if "--json" in arguments:
        output.as_json({"error": {"reason": reason, "message": message}})
