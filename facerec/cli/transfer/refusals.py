"""Reports the refused rows of an import, and other messages while it runs."""

from facerec.cli.terminal import output

MAX_LISTED_ROWS = 1000
"""More refused rows usually have one cause, and a file may have millions."""


class Refusals:
    """The refused rows of `source`: the first 1,000 are printed to stderr or, for JSON, kept in `rows`.

    `left_out` is the number of rows that were refused before they were sent.
    """

    def __init__(self, json: bool, source: object) -> None:
        self._console = None if json else output.console(stderr=True)
        self._listed = 0
        self._left_out_before = 0
        self.source = source
        self.rows: list[dict[str, str]] = []
        self.left_out = 0

    def leave_out(self, location: str, field: str, message: str) -> None:
        """Add a row that is refused before it is sent."""
        self.left_out += 1
        if self.left_out > self._left_out_before:
            self.add(location, field, message)

    def restart(self) -> None:
        """Expect the source to be read again from its beginning, without listing a row twice."""
        self._left_out_before = max(self._left_out_before, self.left_out)
        self.left_out = 0

    def say(self, text: str) -> None:
        """Print a line about the import itself, unless for JSON."""
        if self._console is not None:
            self._console.print(text)

    def add(self, location: str, field: str, message: str) -> None:
        """List a row that is refused, here or by the service: its location in the source, field and error."""
        self._listed += 1
        if self._listed > MAX_LISTED_ROWS:
            return
        if self._console is None:
            self.rows.append({"place": location, "field": field, "message": message})
            return
        what = f"{field}: {message}" if field else message
        self._console.print(f"refused {self.source}, {location}: {what}")
        if self._listed == MAX_LISTED_ROWS:
            self._console.print("further refused rows are only counted")
