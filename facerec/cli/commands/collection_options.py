"""The settings of a collection as command line options, one per field."""

import dataclasses
import enum
import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facerec.cli.terminal import times

if TYPE_CHECKING:
    from facerec.client import CollectionSettings


class Policy(enum.StrEnum):
    """What `enroll` does with a duplicate, or with an inconsistent face."""

    ALLOW = "allow"
    FLAG = "flag"
    REFUSE = "refuse"


class Rule(enum.StrEnum):
    """How `verify` scores a claim against a person's faces."""

    NEAREST = "nearest"
    ROOT_MEAN_SQUARE = "root-mean-square"


@dataclasses.dataclass(frozen=True)
class SettingsOptions:
    """The settings given on the command line, by the contract's names; None leaves a setting as it is."""

    display_name: Annotated[str | None, typer.Option("--name", help="The collection's display name.")] = None
    verify_threshold: Annotated[
        float | None, typer.Option(min=0, max=4, help="Largest distance at which verify and compare match.")
    ] = None
    identify_threshold: Annotated[
        float | None, typer.Option(min=0, max=4, help="Largest distance at which identify matches.")
    ] = None
    duplicate_policy: Annotated[
        Policy | None, typer.Option("--duplicates", help="What enroll does with another person's face.")
    ] = None
    duplicate_threshold: Annotated[
        float | None,
        typer.Option("--duplicate-threshold", min=0, max=4, help="Largest distance that makes a duplicate."),
    ] = None
    consistency_policy: Annotated[
        Policy | None,
        typer.Option("--consistency", help="What enroll does with a face nearer to another person's."),
    ] = None
    min_face_pixels: Annotated[
        int | None,
        typer.Option(
            "--min-face-pixels",
            min=0,
            max=65535,
            help="Shorter side of the smallest face enrolled, in pixels.",
        ),
    ] = None
    exact_only: Annotated[
        bool | None,
        typer.Option("--exact-only/--use-index", help="Whether identify always scans, or may use an index."),
    ] = None
    index_above_faces: Annotated[
        int | None,
        typer.Option(
            "--index-above",
            min=1000,
            max=1_000_000_000,
            help="Number of faces above which an index is built.",
        ),
    ] = None
    acceptance_threshold: Annotated[
        float | None,
        typer.Option(
            "--acceptance-threshold",
            min=0,
            max=4,
            help="Largest distance at which an index result is accepted.",
        ),
    ] = None
    target_recall: Annotated[
        float | None,
        typer.Option("--target-recall", min=0.5, max=1, help="Share of searches the index must get right."),
    ] = None
    retention: Annotated[
        str | None,
        typer.Option(metavar="LENGTH", help="How long faces are kept, such as 90d or 52w; 0 for ever."),
    ] = None
    refused_qualities: Annotated[
        str | None,
        typer.Option(
            "--refuse-quality",
            metavar="REASONS",
            help="Quality reasons for which a face is refused, such as blurred,too-dark; or none.",
        ),
    ] = None

    score_rule: Annotated[
        Rule | None,
        typer.Option(
            "--score-rule",
            help="How verify scores a claim; needs --verify-threshold, measured by that rule.",
        ),
    ] = None

    def settings(self) -> "CollectionSettings":
        """The client's settings. Raises Problem if the retention is not a duration."""
        from facerec.client import CollectionSettings

        return CollectionSettings(
            display_name=self.display_name,
            verify_threshold=self.verify_threshold,
            identify_threshold=self.identify_threshold,
            duplicate_policy=self.duplicate_policy and str(self.duplicate_policy),
            duplicate_threshold=self.duplicate_threshold,
            consistency_policy=self.consistency_policy and str(self.consistency_policy),
            min_face_pixels=self.min_face_pixels,
            exact_only=self.exact_only,
            index_above_faces=self.index_above_faces,
            acceptance_threshold=self.acceptance_threshold,
            target_recall=self.target_recall,
            retention=None if self.retention is None else times.parse_duration(self.retention, "--retention"),
            refused_qualities=None if self.refused_qualities is None else _reasons(self.refused_qualities),
            score_rule=self.score_rule and self.score_rule.replace("-", "_"),
        )


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter `options` by every option of SettingsOptions."""
    own = inspect.signature(command, eval_str=True).parameters
    options = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=field.type)
        for field in dataclasses.fields(SettingsOptions)
    ]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        chosen = SettingsOptions(**{option.name: given.pop(option.name) for option in options})
        command(**given, options=chosen)

    parameters = [each for name, one in own.items() for each in (options if name == "options" else [one])]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _reasons(text: str) -> tuple[str, ...]:
    """Read `blurred,too-dark`, or `none`."""
    if text.lower() == "none":
        return ()
    return tuple(word.strip().upper().replace("-", "_") for word in text.split(","))
