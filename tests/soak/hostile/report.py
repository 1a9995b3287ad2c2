"""The results of attacks, and their table."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """One figure of an attack; `holds` where the promise was kept."""

    attack: str
    figure: str
    holds: bool

    @property
    def row(self) -> str:
        """A row of the table."""
        return f"| {self.attack} | {self.figure} | {'yes' if self.holds else 'NO'} |"


HEAD = "| attack | figure | held |\n| --- | --- | --- |"
