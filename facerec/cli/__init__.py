"""The `facerec` command."""

import typer

from facerec.cli.up import up

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(up)


@app.callback()
def facerec() -> None:
    """Face verification on your own machines."""


def main() -> None:
    """Run the command line."""
    app()
