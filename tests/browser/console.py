"""The console in a browser window."""

from typing import Any


class Console:
    """A window with the console of the gateway at an address; `errors` are those of the browser's log."""

    def __init__(self, page: Any, address: str, scheme: str = "http") -> None:
        self.page = page
        self.errors: list[str] = []
        self._address = f"{scheme}://{address}/console/"
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: Any) -> None:
        # Chromium logs each answer that is an error, which the page shows to its reader.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def open(self, path: str) -> None:
        """Open a page, such as `people`."""
        self.page.goto(f"{self._address}#/{path}")

    def go(self, name: str) -> None:
        """Choose a page in the navigation."""
        self.page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()

    @property
    def main(self) -> Any:
        """The page's content."""
        return self.page.get_by_role("main")

    def button(self, name: str) -> Any:
        """A button in the content, by its whole name."""
        return self.main.get_by_role("button", name=name, exact=True)

    def dialog(self, **fields: str) -> Any:
        """Fill in the fields of the open dialog, by their labels with _ for blanks; returns the dialog."""
        dialog = self.page.get_by_role("dialog")
        for label, text in fields.items():
            dialog.get_by_label(label.replace("_", " ")).fill(text)
        return dialog

    def has(self, text: str) -> None:
        """Wait until the content has a text."""
        self.main.get_by_text(text).first.wait_for()

    def counts(self, selector: str, number: int) -> None:
        """Wait until so many elements match a CSS selector."""
        from playwright.sync_api import expect

        expect(self.main.locator(selector)).to_have_count(number)
