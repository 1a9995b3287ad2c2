"""One tenant's key floods the encoder through a matcher, which has one key there for all of its callers."""

import asyncio
import contextlib
import shutil
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from facerec.client import AsyncMatcherClient, Security
from facerec.errors import FacerecError, Reason
from tests.benchmarks.encoder import engine, pictures
from tests.e2e.access.conftest import entry
from tests.fixtures.clusters import open_migrated
from tests.fixtures.encoder import EncoderProcess
from tests.fixtures.matcher import MatcherProcess
from tests.fixtures.waiting import wait_until
from tests.soak.hostile.encoder_cost import blank
from tests.soak.hostile.report import CheckResult

NAME = "encoder sharing"
TENANTS = FLOODING, POLITE = "flooding", "polite"
AT_ONCE = 24  # all that a matcher sends the encoder of one caller by default
AHEAD_AT_MOST = 6  # at work or handed over before the photo came, and a turn between header and scan
TIMEOUT_SECONDS = 120


class Pair:
    """A matcher with keys for two tenants, and the encoder that it has one key for."""

    def __init__(self, encoder: EncoderProcess, matcher: MatcherProcess) -> None:
        self._metrics = f"http://{encoder.event('listening')['admin']}/metrics"
        self.matcher = matcher

    def images_in_flight(self) -> int:
        """How many the encoder has admitted and not answered."""
        with urllib.request.urlopen(self._metrics) as answer:
            lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines())
        return int(float(lines["facerec_encoder_images_in_flight"]))

    def client(self, tenant: str) -> AsyncMatcherClient:
        """A client with the tenant's key."""
        security = Security(api_key=tenant)
        return AsyncMatcherClient(self.matcher.address, timeout_seconds=TIMEOUT_SECONDS, security=security)


@contextlib.contextmanager
def _pair() -> Iterator[Pair]:
    folder = Path(tempfile.mkdtemp(prefix="facerec-hostile-"))
    folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        keys = folder / "keys.toml"
        keys.write_text(
            "\n".join(
                (
                    entry("matcher", "matcher", ["encode"]),
                    *(entry(each, each, ["verify"]) for each in TENANTS),
                )
            )
        )
        postgres = stack.enter_context(open_migrated(folder / "data"))
        locked = ("--keys-file", str(keys))
        admin = ("--admin-address", "127.0.0.1:0")
        encoder = EncoderProcess("--threads", "1", *admin, *locked, cache=engine.MODELS)
        stack.callback(encoder.stop)
        encoder.event("serving")
        encoders = ("--encoder-address", encoder.address, "--encoder-api-key", "matcher")
        patience = ("--encoder-timeout-seconds", str(TIMEOUT_SECONDS))
        matcher = MatcherProcess(postgres.url(), *encoders, *patience, *locked)
        stack.callback(matcher.stop)
        matcher.event("database_ready")
        yield Pair(encoder, matcher)


def attack(*, short: bool) -> list[CheckResult]:
    """Keep as many images under way as one caller may, while the other tenant sends photos one by one."""
    side = 2000 if short else 4500  # 0.75 and 3.8 probes to decode: short work, as a photo is
    with _pair() as pair:
        return [asyncio.run(_flood(pair, blank(side, side), photos=2 if short else 10))]


async def _flood(pair: Pair, image: bytes, photos: int) -> CheckResult:
    flood: Counter[Reason | None] = Counter()
    async with pair.client(FLOODING) as flooding, pair.client(POLITE) as polite:

        async def send() -> None:
            while True:
                flood[await _reason(flooding, image)] += 1

        assert await _reason(polite, pictures.camera_photo()) is Reason.PERSON_NOT_FOUND  # a connection
        senders = [asyncio.ensure_future(send()) for _ in range(AT_ONCE)]
        ahead, seconds = [], []
        for _ in range(photos):
            await asyncio.to_thread(wait_until, lambda: pair.images_in_flight() >= AT_ONCE - 1)
            before, began = flood.total(), time.monotonic()
            assert await _reason(polite, pictures.camera_photo()) is Reason.PERSON_NOT_FOUND
            seconds.append(time.monotonic() - began)
            ahead.append(flood.total() - before)
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
    unexpected = [reason for reason in flood if reason not in (Reason.FACE_NOT_FOUND, Reason.OVERLOADED)]
    return CheckResult(
        NAME,
        f"a photo waited {max(seconds):.2f} s at most, for {max(ahead)} of the {AT_ONCE} images of another "
        f"tenant; {len(unexpected)} other errors",
        max(ahead) <= AHEAD_AT_MOST and not unexpected,
    )


async def _reason(client: AsyncMatcherClient, image: bytes) -> Reason | None:
    try:
        await client.verify("nobody", image)
    except FacerecError as error:
        return error.reason
    return None
