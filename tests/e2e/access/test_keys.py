"""Keys follow their file, and have the scores, rates and names that it grants."""

import asyncio
import datetime
import hashlib
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from facerec.cli import main
from facerec.client import AsyncMatcherClient, Security
from facerec.errors import FacerecError, Reason
from facerec.matcher.v1 import calibration_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.serving.auth import files
from facerec.serving.auth.permissions import read_keys
from facerec.serving.server.errors import SettingsInvalid
from tests.e2e.access.conftest import bearer, entry, known
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.fixtures.matcher import MatcherProcess, RunningMatcher, StartMatcher
from tests.fixtures.waiting import until

WriteKeys = Callable[..., Path]
MAY = "encodings = true\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "POLL_SECONDS", 0.05)


async def verify(matcher: RunningMatcher, key: str, **fields: Any) -> pb.VerifyResponse:
    request = pb.VerifyRequest(person_id="ann", probe=encoding(vectors(1)[0]), **fields)
    answer: pb.VerifyResponse = await matcher.stub.Verify(request, metadata=bearer(key))
    return answer


async def enrolled(matcher: RunningMatcher, key: str) -> None:
    await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])), metadata=bearer(key))


async def test_a_key_is_added_and_removed_without_a_restart(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = entry("admin", "a", ["admin"])
    matcher = await start_matcher(database_url, keys_file=keys_file(admin))
    await enrolled(matcher, "a")
    with refused(Reason.KEY_UNKNOWN):
        await verify(matcher, "b")
    keys_file(admin, entry("door", "b", ["verify"], MAY))
    await until(lambda: known(matcher, "b"))
    assert (await verify(matcher, "b")).match
    keys_file("this is no file of keys")
    output: list[str] = []

    def not_read() -> bool:
        output.append(capsys.readouterr().out)
        return "key_store_reload_failed" in output[-1]

    await until(not_read)
    assert (await verify(matcher, "b")).match, "an invalid file leaves the keys as they were"
    keys_file(admin, entry("new", "n", ["verify"]))
    await until(lambda: known(matcher, "n"))
    with refused(Reason.KEY_UNKNOWN):
        await verify(matcher, "b")
    output.append(capsys.readouterr().out)
    assert "Bearer" not in "".join(output)


async def test_only_keys_with_scores_see_scores(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    path = keys_file(
        entry("admin", "a", ["admin"]),
        entry("door", "b", ["verify", "identify", "enroll", "manage"]),
        entry("gate", "d", ["verify"], "encodings = true"),
        entry("desk", "c", ["verify"], "scores = true\nencodings = true"),
    )
    matcher = await start_matcher(database_url, keys_file=path)
    await enrolled(matcher, "a")
    verified = await verify(matcher, "a")
    assert verified.distance == 0
    assert (await verify(matcher, "c", max_distance=0.3)).HasField("distance")
    blind = await verify(matcher, "d")
    assert (blind.match, blind.HasField("distance")) == (True, False)
    # Otherwise a few questions about one face would give its distance after all.
    with refused(Reason.NOT_PERMITTED, "max_distance"):
        await verify(matcher, "d", max_distance=0.3)
    with refused(Reason.NOT_PERMITTED, "max_distance"):
        photo = pb.Probe(image=b"a picture")
        await matcher.stub.Identify(
            pb.IdentifyRequest(probes=[photo], max_distance=0.3), metadata=bearer("b")
        )


async def test_only_keys_with_scores_change_thresholds(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    """Otherwise a key that may verify and manage could find a distance by bisection."""
    path = keys_file(
        entry("blind", "b", ["verify", "enroll", "manage"]), entry("desk", "c", ["manage"], "scores = true")
    )
    matcher = await start_matcher(database_url, keys_file=path)
    update = matcher.collections.UpdateCollection
    for name in ("verify_threshold", "identify_threshold", "duplicate_threshold"):
        settings = pb.CollectionSettings()
        setattr(settings, name, 0.45)
        request = pb.UpdateCollectionRequest(settings=settings)
        with refused(Reason.NOT_PERMITTED, f"settings.{name}"):
            await update(request, metadata=bearer("b"))
        await update(request, metadata=bearer("c"))
    other = pb.UpdateCollectionRequest(settings=pb.CollectionSettings(display_name="Staff"))
    await update(other, metadata=bearer("b"))
    apply = calibration_pb2.ApplyCalibrationRequest(calibration_id=str(uuid.uuid4()))
    with refused(Reason.NOT_PERMITTED, "calibration_id"):
        await matcher.collections.ApplyCalibration(apply, metadata=bearer("b"))
    with refused(Reason.CALIBRATION_NOT_FOUND, "calibration_id"):
        await matcher.collections.ApplyCalibration(apply, metadata=bearer("c"))


async def test_calls_beyond_the_rate_are_refused_with_a_time_to_wait(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    path = keys_file(
        entry("admin", "a", ["admin"]),
        entry("door", "b", ["verify"], "scores = true\nencodings = true\nprobes_per_second = 2\nburst = 3"),
    )
    matcher = await start_matcher(database_url, keys_file=path)
    await enrolled(matcher, "a")
    async with AsyncMatcherClient(matcher.address, security=Security(api_key="b")) as client:

        async def call() -> FacerecError:
            with pytest.raises(FacerecError) as caught:
                await client.verify("ann", "00000000-0000-4000-8000-000000000000")
            return caught.value

        answers = await asyncio.gather(*(call() for _ in range(50)))  # more than a slow machine lets in
    errors = [error for error in answers if error.reason is Reason.RATE_LIMITED]
    assert {error.reason for error in answers} == {Reason.FACE_NOT_FOUND, Reason.RATE_LIMITED}
    assert len(answers) - len(errors) >= 3
    waits = [error.retry_after_seconds for error in errors]
    assert all(seconds is not None and 0 < seconds <= 0.5 for seconds in waits)
    await verify(matcher, "a")  # other callers do not wait
    await asyncio.sleep(0.55)
    await verify(matcher, "b")


async def test_an_encoder_that_refuses_the_matcher_is_distinguished_from_one_that_is_down(
    start_encoder: Callable[..., Any], keys_file: WriteKeys, database_url: str
) -> None:
    server = await start_encoder(keys_file=keys_file(entry("other", "k", ["encode"])))
    await server.set_serving("facerec.encoder.v1.EncoderService", True)
    process = await asyncio.to_thread(
        MatcherProcess, database_url, "--encoder-address", server.address, "--log-calls", "failed"
    )
    try:
        await asyncio.to_thread(process.event, "database_ready")
        async with AsyncMatcherClient(process.address) as client:
            for _ in range(2):
                with pytest.raises(FacerecError) as caught:
                    await client.identify(b"a photo")
                assert caught.value.reason is Reason.ENCODER_UNAVAILABLE
                assert "denies this matcher access (KEY_MISSING)" in caught.value.message
        logged = await asyncio.to_thread(process.event, "encoder_failed")
        assert logged["reason"] == "KEY_MISSING"
        doctor = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "matcher_service", "doctor",
            "--database-url", database_url, "--encoder-address", server.address,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await doctor.communicate()
        assert doctor.returncode == 1
        assert "fail  encoder: send a key" in output.decode()
    finally:
        await asyncio.to_thread(process.stop)
    assert len([line for line in process.lines if "encoder_failed" in line]) == 1


async def test_the_audit_names_the_key(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    path = keys_file(entry("onboarding", "a", ["enroll"], MAY), entry("door-7", "b", ["verify"], MAY))
    matcher = await start_matcher(database_url, keys_file=path)
    await enrolled(matcher, "a")
    await verify(matcher, "b")
    await matcher.service.stop()
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT action, caller FROM facerec.audit ORDER BY event_id")
    await connection.close()
    assert [tuple(row) for row in rows] == [("ENROLL", "onboarding"), ("VERIFY", "door-7")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[keys]]", "keys.0.name"),
        (entry("a b", "k", ["verify"]), "keys.0.name"),
        (entry("door", "k", ["everything"]), "keys.0.roles"),
        (entry("door", "k", []), "keys.0.roles"),
        (entry("door", "k", ["verify"], "collection = 'a'"), "collection"),
        (entry("door", "k", ["verify"], "expires = 2027-01-01T00:00:00"), "expires"),
        (entry("door", "k", ["verify"]) + entry("desk", "k", ["verify"]), "two entries have the same sha256"),
        (entry("door", "k", ["verify"]) + entry("door", "l", ["verify"]), "two entries have the same name"),
        ("[[keys]\n", "keys.toml"),
        ("x = " + "9" * 5000, "cannot be read as TOML"),  # more digits than Python makes a number of
    ],
)
def test_an_invalid_keys_file_is_refused_with_the_entry_and_without_the_hash(
    keys_file: WriteKeys, text: str, expected: str
) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        read_keys(keys_file(text))
    assert expected in str(caught.value)
    assert entry("door", "k", ["verify"]).split('"')[3] not in str(caught.value)


def test_a_key_is_not_sent_to_another_machine_in_plain_text() -> None:
    with pytest.raises(FacerecError) as caught:
        AsyncMatcherClient("matcher.example:50052", security=Security(api_key="k"))
    assert caught.value.reason is Reason.NOT_PERMITTED
    assert "k" not in repr(Security(api_key="k")).replace("key_file", "").replace("plaintext_key", "")


def test_the_keys_new_command_prints_a_valid_entry_of_the_file(
    keys_file: WriteKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--role verify --role identify --collection staff --scores --encodings --days 30"
    options += " --probes-per-second 5 --failed-tries-per-day 2.5 --label site.x=a --label site.x=b"
    assert main(["keys", "new", "door-7", *options.split()]) == 0
    output = capsys.readouterr()
    key = output.err.split()[-1]
    assert key not in output.out
    (made,) = read_keys(keys_file(output.out)).keys
    assert made.digest == hashlib.sha256(key.encode()).digest()
    assert (made.name, sorted(made.roles)) == ("door-7", ["identify", "verify"])
    assert (made.scores, made.encodings) == (True, True)
    assert (made.probes_per_second, made.failed_tries_per_day) == (5, 2.5)
    assert set(made.collections or ()) == {"staff"}
    assert made.labels == {"site.x": ("a", "b")}
    assert made.expires is not None
    assert 29 < (made.expires - datetime.datetime.now(datetime.UTC)).days + 1 <= 30
    assert main(["keys", "new", "door", "--role", "everything"]) == 2
    assert "everything" in capsys.readouterr().err
