"""`facerec gateway`: both services over HTTP."""

import typer

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""The flags are those of the gateway's settings, as `facerec gateway --help` shows them."""


def gateway(context: typer.Context) -> None:
    """Answer HTTP for both services, until Ctrl-C."""
    try:
        from facerec.gateway import commands
    except ModuleNotFoundError as error:
        typer.echo(f"error: {error.name} is not installed: pip install '.[gateway]' in a clone", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(commands.main(["serve", *context.args]))
