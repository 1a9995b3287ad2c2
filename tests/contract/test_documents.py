"""The documents: links are valid, pages are listed, and files and commands that they name exist."""

import re
from pathlib import Path

import pytest

from tests.fixtures.process import ROOT

DOCS = ROOT / "docs"
GUIDES = sorted(DOCS.glob("*.md"))
MAPS = (DOCS / "README.md", DOCS / "decisions" / "README.md", DOCS / "measurements" / "README.md")
MEASURED = sorted((DOCS / "measurements").glob("2*.md"))
ALL = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "deploy" / "README.md"])
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(
    r"`((?:facerec|matcher_service|encoder_service|tests|scripts|deploy|protos|docs)/[\w./-]*(?:/|\.\w+))`"
)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The fragments that a page's headings have where Markdown is shown."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ALL, ids=named)
def test_every_link_of_a_page_leads_to_an_existing_file_and_heading(page: Path) -> None:
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not fragment or fragment in anchors(target), link


@pytest.mark.parametrize("page", ALL, ids=named)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    if page.name == "CHANGELOG.md":  # which names what there was
        return
    for path in NAMED.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", ALL, ids=named)
def test_every_make_target_that_a_page_names_is_in_the_makefile(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    commands = "\n".join([*FENCED.findall(text), *re.findall(r"^ {4}make.*", text, re.MULTILINE)])
    reached = re.findall(r"^ *make ([a-z-]+)", commands, re.MULTILINE)
    assert {*reached, *re.findall(r"`make ([a-z-]+)", text)} <= targets


@pytest.mark.parametrize("found", MAPS, ids=named)
def test_every_page_of_a_folder_is_listed_in_its_readme(found: Path) -> None:
    listed = {link.partition("#")[0] for link in LINK.findall(found.read_text(encoding="utf-8"))}
    assert {page.name for page in found.parent.glob("*.md")} - {found.name} <= listed


@pytest.mark.parametrize("page", [*GUIDES, *MAPS], ids=named)
def test_a_page_begins_by_saying_for_whom_it_is(page: Path) -> None:
    heading, first, *_ = page.read_text(encoding="utf-8").split("\n\n")
    assert heading.startswith("# ")
    assert first.startswith("For ")


@pytest.mark.parametrize("page", MEASURED, ids=named)
def test_a_measurement_has_a_machine_a_date_and_a_command(page: Path) -> None:
    head, *sections = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert "cores" in head
    assert sections
    for section in sections:
        first = section.split("\n\n")[1]
        assert re.match(r"20\d\d-\d\d-\d\d", first), section.splitlines()[0]
        assert "Again" in first or "no command repeats" in first or "Again" in head, first


def test_the_concepts_name_every_table() -> None:
    schema = (ROOT / "matcher_service" / "postgres" / "schema.sql").read_text(encoding="utf-8")
    section = (DOCS / "concepts.md").read_text(encoding="utf-8").partition("## Tables")[2]
    (diagram,) = FENCED.findall(section)
    tables = set(re.findall(r"^CREATE TABLE facerec\.(\w+)", schema, re.MULTILINE))
    assert tables <= set(re.findall(r"\w+", diagram))
