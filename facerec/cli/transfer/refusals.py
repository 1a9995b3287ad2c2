"""The refused rows of an import, and what else is said of it while it runs."""

from facerec.cli.terminal import output

MAX_LISTED_ROWS = 1000
"""Of so many refused rows one fault is the cause, and the file may hold millions."""


class Refusals:
    """The refused rows of `source`: the first 1,000 as a line each on stderr as it comes, or `rows` for JSON.

    `left_out` is how many rows were refused before they were sent.
    """

    def __init__(self, json: bool, source: object) -> None:
        self._console = None if json else output.console(stderr=True)
        self._listed = 0
        self._left_out_before = 0
        self.source = source
        self.rows: list[dict[str, str]] = []
        self.left_out = 0

    def leave_out(self, place: str, field: str, message: str) -> None:
        """Add a row that is not even sent."""
        self.left_out += 1
        if self.left_out > self._left_out_before:
            self.add(place, field, message)

    def read_again(self) -> None:
        """Note that the source is read from its beginning once more: a row is listed once."""
        self._left_out_before = max(self._left_out_before, self.left_out)
        self.left_out = 0

    def say(self, text: str) -> None:
        """Print a line about the import itself, for people."""
        if self._console is not None:
            self._console.print(text)

    def add(self, place: str, field: str, message: str) -> None:
        """List a row that is refused, here or by the service: where it stands, which field and why."""
        self._listed += 1
        if self._listed > MAX_LISTED_ROWS:
            return
        if self._console is None:
            self.rows.append({"place": place, "field": field, "message": message})
            return
        what = f"{field}: {message}" if field else message
        self._console.print(f"refused {self.source}, {place}: {what}")
        if self._listed == MAX_LISTED_ROWS:
            self._console.print("further rows that are refused are only counted")
