"""Prints the `--help` of a command: the settings that it uses, each with its docstring."""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Collection, Iterator

import pydantic
from pydantic_settings import BaseSettings, CliSettingsSource

_SOURCES = (
    "Each may also be given as an environment variable ({prefix}NAME), as the path of a file that holds it "
    "({prefix}NAME_FILE), or in a TOML file named by --config FILE; a flag wins over the environment, the "
    "environment over the file."
)


def print_help(
    settings: type[BaseSettings], *, prog: str, about: str, takes: Collection[str] | None = None
) -> None:
    """Print the flags of a command and exit (SystemExit).

    `prog` is the command, `about` what it does, and `takes` names the settings that it uses; None for all.
    """
    prefix = settings.model_config.get("env_prefix", "")
    describe(settings)
    fields = {
        name: (field.annotation, field)
        for name, field in settings.model_fields.items()
        if takes is None or name in takes
    }
    listed = pydantic.create_model(  # type: ignore[call-overload]
        settings.__name__,
        __base__=BaseSettings,
        __doc__=f"{about[:1].upper()}{about[1:]}. {_SOURCES.format(prefix=prefix)}",
        **fields,
    )
    listed.model_config |= settings.model_config
    CliSettingsSource(listed, cli_prog_name=prog, cli_parse_args=["--help"])


def describe(settings: type[BaseSettings]) -> None:
    """Give each field its docstring as its description.

    Pydantic does so itself (`use_attribute_docstrings`), at every import: the source takes 50 ms to parse.
    """
    for each in reversed(settings.__mro__):
        if issubclass(each, BaseSettings) and each is not BaseSettings:
            for name, text in _docstrings(each):
                settings.model_fields[name].description = text


def _docstrings(settings: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    """The name and the docstring of each field that a class itself defines."""
    (defined,) = ast.parse(textwrap.dedent(inspect.getsource(settings))).body
    assert isinstance(defined, ast.ClassDef)
    for field, text in itertools.pairwise(defined.body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(docstring))),
            ) if name in settings.model_fields:
                yield name, inspect.cleandoc(docstring)
