"""The code blocks of the documents, and a namespace to run them in against a test's processes."""

import dataclasses
import re
from typing import Any

from tests.fixtures.process import ROOT

FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    """The text of a file of the repository, such as docs/clients.md."""
    return (ROOT / name).read_text(encoding="utf-8")


def all_blocks(text: str) -> list[tuple[str, str]]:
    """Language and content of every fenced block, in the page's order."""
    return [(language, content) for language, content in FENCED.findall(text)]


def blocks(text: str, section: str, language: str = "python") -> list[str]:
    """The blocks of a language in a page's section."""
    (found,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return [content for name, content in all_blocks(found) if name == language]


@dataclasses.dataclass
class Session:
    """Runs blocks one after another in one namespace, the pages' addresses replaced by those of a test."""

    addresses: dict[str, str]
    names: dict[str, Any] = dataclasses.field(default_factory=dict)

    def here(self, block: str) -> str:
        """A block with the test's addresses."""
        for documented, real in self.addresses.items():
            block = block.replace(documented, real)
        return block

    def run(self, block: str) -> None:
        """Run a block of Python."""
        # One namespace, as of a module: functions of one block see what another made.
        exec(compile(self.here(block), "<documented>", "exec"), self.names)

    def close(self) -> None:
        """Close the clients that the blocks left open."""
        for name in ("encoder", "matcher"):
            if name in self.names:
                self.names[name].close()
