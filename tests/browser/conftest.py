"""A real browser on the console of a real gateway, encoder and matcher."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.console import Console
from tests.e2e.access.conftest import entry
from tests.e2e.gateway.http import post, post_form
from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.matcher import MatcherProcess

NAMES = ("chromium", "chromium-browser", "google-chrome")
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
WIDTHS = {"wide": 1400, "narrow": 390}

COLLECTIONS = "/facerec.matcher.v1.CollectionService"
CHOOSE = "sessionStorage.getItem('collection') ?? sessionStorage.setItem('collection', '{}')"


class Restarted:
    """A gateway before a matcher that can be stopped and started again at its address."""

    def __init__(self, database_url: str, encoder_address: str) -> None:
        self._flags = (database_url, "--encoder-address", encoder_address)
        self.matcher = MatcherProcess(*self._flags)
        self.address = self.matcher.address
        self.gateway = GatewayProcess(encoder_address, self.address)

    def start(self) -> None:
        """Start the matcher again."""
        self.matcher = MatcherProcess(*self._flags, address=self.address)


OpenConsole = Callable[..., Console]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program of a Chromium; skips where it, or what drives it, is missing."""
    pytest.importorskip("playwright.sync_api", reason="needs a browser: make test-browser")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("there is no Chromium: install the package chromium, or name it by CHROMIUM=PROGRAM")
    return program


@pytest.fixture(scope="session")
def console_address(chromium: str, encoder_address: str, matcher_address: str) -> Iterator[str]:
    """HOST:PORT of a gateway whose services need no key."""
    process = GatewayProcess(encoder_address, matcher_address)
    try:
        yield process.address
    finally:
        code = process.stop()
    assert code == 0


@pytest.fixture(scope="session")
def locked_address(
    chromium: str,
    make_database: Callable[[str], str],
    template_database: str,
    encoder_address: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """HOST:PORT of a gateway whose matcher requires keys: fr_admin, fr_door, who may verify, fr_clerk, and
    fr_desk, who manages people without seeing distances."""
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    clerk = entry("clerk", "fr_clerk", ["manage", "identify"], "scores = true")
    others = entry("door", "fr_door", ["verify"]), entry("desk", "fr_desk", ["manage"])
    keys.write_text("\n".join([entry("admin", "fr_admin", ["admin"]), clerk, *others]))
    database = make_database(template_database)
    matcher = MatcherProcess(database, "--encoder-address", encoder_address, "--keys-file", str(keys))
    gateway = GatewayProcess(encoder_address, matcher.address)
    try:
        yield gateway.address
    finally:
        codes = gateway.stop(), matcher.stop()
    assert codes == (0, 0)


@pytest.fixture(scope="session")
def restarted(
    chromium: str, make_database: Callable[[str], str], template_database: str, encoder_address: str
) -> Iterator[Restarted]:
    """A gateway before a matcher that can be stopped and started again."""
    found = Restarted(make_database(template_database), encoder_address)
    try:
        yield found
    finally:
        codes = found.gateway.stop(), found.matcher.stop()
    assert codes == (0, 0)


@pytest.fixture(scope="session")
def browser(chromium: str, console_address: str, locked_address: str, restarted: Restarted) -> Iterator[Any]:
    """A headless Chromium. It starts after the services: while it runs, this thread can run no event loop."""
    from playwright.sync_api import sync_playwright

    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has none for root
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=[*CAMERA, *sandbox])
        yield running
        running.close()


@pytest.fixture
def collection(console_address: str) -> str:
    """A collection of the test's own."""
    name = f"c{uuid.uuid4().hex[:8]}"
    answer = post(console_address, f"{COLLECTIONS}/CreateCollection", {"collectionId": name})
    assert answer.status == 200
    return name


@pytest.fixture
def open_console(browser: Any, collection: str, console_address: str) -> Iterator[OpenConsole]:
    """Opens a page of the console in a browser window of its own; at the end no error may be in its log."""
    opened = []

    def start(
        page: str = "",
        *,
        address: str = console_address,
        width: str = "wide",
        scheme: str = "light",
        **options: Any,
    ) -> Console:
        context = browser.new_context(
            viewport={"width": WIDTHS[width], "height": 900}, color_scheme=scheme, **options
        )
        context.add_init_script(CHOOSE.format(collection))
        console = Console(context.new_page(), address)
        opened.append(console)
        console.open(page)
        return console

    yield start
    for console in opened:
        console.page.context.close()
        assert console.errors == []


@pytest.fixture
def enroll(console_address: str, collection: str, sample_photos: Path) -> Callable[..., None]:
    """Enrolls sample photos under a person's id, with other fields of the form."""

    def run(person_id: str, *names: str, **fields: str) -> None:
        photos = [("image", (sample_photos / name).read_bytes()) for name in names]
        texts = {"person_id": person_id, "collection_id": collection, **fields}
        answer = post_form(console_address, "/v1/enroll", [*photos, *texts.items()])
        assert answer.status == 200, answer.body

    return run
