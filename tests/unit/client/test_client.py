import asyncio
import dataclasses
import datetime
import inspect
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec.client import (
    AsyncCollectionClient,
    AsyncEncoderClient,
    AsyncMatcherClient,
    BoundingBox,
    CollectionClient,
    CollectionSettings,
    EncoderClient,
    Encoding,
    MatcherClient,
)
from facerec.client.channel import (
    COLLECTION_SERVICE,
    ENCODER_SERVICE,
    MATCHER_SERVICE,
    MAX_MESSAGE_BYTES,
    RETRIED,
    service_config,
    target,
)
from facerec.encoder import v1
from facerec.errors import FacerecError, Reason
from facerec.quality_messages import read_quality
from tests.unit.client.flaky import NAMES, OVERLOADED, FlakyEncoder, PagedMatcher, serving

PROTOS = Path(__file__).parents[3] / "protos" / "facerec"
DOCUMENTATION = PROTOS.parents[1] / "docs" / "clients.md"


async def test_a_large_image_is_sent_again_until_the_service_is_available() -> None:
    encoder = FlakyEncoder(failures=3)
    async with serving(encoder=encoder) as server, AsyncEncoderClient(server.address) as client:
        image = await client.encode(bytes(3_000_000))
    assert (encoder.calls, image.image_width) == (4, 3_000_000)


def test_a_reason_that_only_a_newer_encoder_knows_is_left_out() -> None:
    quality = read_quality(v1.Quality(reasons=[v1.QUALITY_REASON_NOISY, 1000], noise=0.05))  # type: ignore[list-item]
    assert (quality.reasons, quality.noise) == (("NOISY",), 0.05)


async def test_the_blocking_client_retries_too_and_gives_up_after_four_tries() -> None:
    encoder = FlakyEncoder(failures=9)
    async with serving(encoder=encoder) as server:
        with EncoderClient(server.address) as client, pytest.raises(FacerecError, match="not yet") as caught:
            await asyncio.to_thread(client.encode, b"image")
    assert (encoder.calls, caught.value.reason) == (4, Reason.UNREACHABLE)


async def test_each_client_has_a_connection_of_its_own() -> None:
    encoder = FlakyEncoder()
    async with (
        serving(encoder=encoder) as server,
        AsyncEncoderClient(server.address) as one,
        AsyncEncoderClient(server.address) as other,
    ):
        await one.encode(b"image")
        await other.encode(b"image")
    assert len(encoder.connections) == 2


async def test_an_answer_has_the_vector_as_float32_of_128() -> None:
    async with serving() as server, AsyncEncoderClient(server.address) as client:
        face = (await client.encode(b"image", alignment="small", max_faces=1)).faces[0]
    assert (face.encoding.values.dtype, face.encoding.values.shape) == (np.dtype(np.float32), (128,))
    assert face.bounding_box == BoundingBox(top=-1, right=9, bottom=8, left=2)
    assert face.detection_score is None


async def test_a_call_ends_at_its_deadline() -> None:
    async with (
        serving(encoder=FlakyEncoder(seconds=3600)) as server,
        AsyncEncoderClient(server.address) as client,
    ):
        with pytest.raises(FacerecError) as caught:
            await client.with_options(timeout_seconds=0.2).encode(b"image")
    assert caught.value.reason is Reason.DEADLINE_EXCEEDED


async def test_an_error_carries_the_services_reason_field_and_delay() -> None:
    matcher = PagedMatcher(OVERLOADED)
    async with serving(matcher=matcher) as server:
        async with AsyncMatcherClient(server.address) as client:
            with pytest.raises(FacerecError) as from_async:
                await client.enroll("ann", b"image")
        with MatcherClient(server.address) as sync_client, pytest.raises(FacerecError) as from_sync:
            await asyncio.to_thread(sync_client.enroll, "ann", b"image")
    for error in (from_async.value, from_sync.value):
        fields = (error.reason, error.message, error.field, error.retry_after_seconds)
        assert fields == (Reason.OVERLOADED, "busy", "items[1].probe.image", 1.5)
    assert matcher.calls == 2, "a refusal is not retried behind the caller's back"


async def test_listing_goes_through_every_page_and_fetches_no_page_unasked() -> None:
    matcher = PagedMatcher(OVERLOADED)
    async with serving(matcher=matcher) as server:
        async with AsyncMatcherClient(server.address) as client:
            found = [person.person_id async for person in client.list_persons(page_size=10)]
        assert (found, matcher.calls) == (NAMES, 3)
        with MatcherClient(server.address) as sync_client:
            persons = sync_client.list_persons(page_size=10)
            assert [person.person_id for person in await asyncio.to_thread(list, persons)] == NAMES
            first = await asyncio.to_thread(next, sync_client.list_persons(page_size=10))
    assert (first.person_id, matcher.calls) == (NAMES[0], 7)


async def test_an_address_without_a_server_is_unreachable_and_named() -> None:
    async with AsyncMatcherClient("127.0.0.1:1") as client:
        with pytest.raises(FacerecError, match=r"127\.0\.0\.1:1") as caught:
            await client.get_person("ann")
    assert caught.value.reason is Reason.UNREACHABLE


async def test_a_service_that_is_not_ready_yet_gets_no_call_and_a_ready_one_does() -> None:
    encoder = FlakyEncoder()
    async with serving(encoder=encoder) as server, AsyncEncoderClient(server.address) as client:
        await server.set_serving(ENCODER_SERVICE, False)
        with pytest.raises(FacerecError, match="unhealthy") as caught:
            await client.encode(b"image")
        assert (encoder.calls, caught.value.reason) == (0, Reason.UNREACHABLE)
        await server.set_serving(ENCODER_SERVICE, True)
        await client.encode(b"image")
    assert encoder.calls == 1


async def test_a_request_over_the_message_limit_is_refused_before_it_is_sent() -> None:
    async with AsyncEncoderClient("127.0.0.1:1") as client:
        with pytest.raises(FacerecError, match="smaller") as caught:
            await client.encode(bytes(MAX_MESSAGE_BYTES))
    assert caught.value.reason is Reason.IMAGE_TOO_LARGE


def test_an_encoding_survives_conversion_to_its_message_and_back() -> None:
    values = np.random.default_rng(1).normal(size=128).astype(np.float32)
    back = Encoding.from_message(Encoding(values, "a/b/c", "made here").to_message())
    assert np.array_equal(back.values, values)
    assert (back.space, back.fingerprint) == ("a/b/c", "made here")


def test_only_the_calls_that_the_contract_calls_safe_are_retried() -> None:
    contract = (PROTOS / "matcher/v1/matcher.proto").read_text()
    matcher, collections = contract.split("service CollectionService")
    for service, text in (("MatcherService", matcher), ("CollectionService", collections)):
        rpcs = re.findall(r"((?:  //[^\n]*\n)+)  rpc (\w+)\(", text)
        safe = [name for comment, name in rpcs if "Safe to retry" in re.sub(r"\s*//\s*", " ", comment)]
        assert safe == list(RETRIED[f"facerec.matcher.v1.{service}"])
        assert 0 < len(safe) < len(rpcs)
    encoder = (PROTOS / "encoder/v1/encoder.proto").read_text()
    assert "Every RPC is free of side effects and safe to retry" in re.sub(r"\s*//\s*", " ", encoder)
    unary = re.findall(r"  rpc (\w+)\((?!stream)", encoder)
    assert unary == list(RETRIED["facerec.encoder.v1.EncoderService"])


def test_the_documented_retries_are_those_of_the_clients() -> None:
    page = DOCUMENTATION.read_text(encoding="utf-8")
    (documented,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    config = json.loads(service_config(MATCHER_SERVICE))
    del config["healthCheckConfig"]  # which not every language has without a package more
    assert json.loads(documented) == config
    for service in (ENCODER_SERVICE, COLLECTION_SERVICE):
        (others,) = re.findall(rf"`{re.escape(service)}`(.*?)\.(?:\s|$)", page, re.DOTALL)
        assert re.findall(r"`(\w+)`", others) == list(RETRIED[service])


@pytest.mark.parametrize(
    ("blocking", "on_loop"),
    [
        (EncoderClient, AsyncEncoderClient),
        (MatcherClient, AsyncMatcherClient),
        (CollectionClient, AsyncCollectionClient),
    ],
)
def test_both_clients_have_the_same_documented_methods(blocking: type, on_loop: type) -> None:
    def methods(kind: type) -> dict[str, tuple[str, str | None]]:
        public = ((name, value) for name, value in vars(kind).items() if inspect.isfunction(value))
        return {name: (signature(value), value.__doc__) for name, value in public}

    def signature(method: Any) -> str:
        text = str(inspect.signature(method)).replace("Async", "")
        return text.replace(", None, None]", ", None]")  # a generator's, of which the form on a loop has two

    assert methods(blocking) == methods(on_loop)
    assert all(doc for _, doc in methods(blocking).values())


def test_an_address_is_resolved_by_name_unless_it_says_how() -> None:
    assert target("faces.internal:50051") == "dns:///faces.internal:50051"
    assert target("unix:/run/facerec.sock") == "unix:/run/facerec.sock"


SETTINGS = CollectionSettings(
    display_name="Staff",
    verify_threshold=0.0,
    identify_threshold=0.125,
    duplicate_policy="refuse",
    duplicate_threshold=4.0,
    consistency_policy="allow",
    min_face_pixels=0,
    exact_only=False,
    index_above_faces=1000,
    acceptance_threshold=0.25,
    target_recall=0.5,
    retention=datetime.timedelta(0),
    refused_qualities=(),
    score_rule="root_mean_square",
)


def test_settings_survive_conversion_to_their_message_and_none_is_unset() -> None:
    assert CollectionSettings.from_message(SETTINGS.to_message()) == SETTINGS
    said = CollectionSettings().to_message()
    assert not said.duplicate_policy
    assert not said.consistency_policy
    assert not any(said.HasField(name) for name in ("display_name", "verify_threshold", "retention"))
    assert not said.quality.ListFields()
    assert not said.search.ListFields()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"duplicate_policy": "ignore"}, "settings.duplicate_policy"),
        ({"consistency_policy": "ignore"}, "settings.consistency_policy"),
        ({"min_face_pixels": -1}, "settings.quality.min_face_pixels"),
        ({"index_above_faces": 2**64}, "settings.search.index_above_faces"),
        ({"refused_qualities": ("UGLY",)}, "settings.quality.refused.reasons"),
        ({"score_rule": "mean"}, "settings.score_rule"),
    ],
)
async def test_a_setting_that_no_message_carries_is_refused_by_its_name(
    wrong: dict[str, Any], field: str
) -> None:
    async with AsyncCollectionClient("127.0.0.1:1") as client:
        with pytest.raises(FacerecError) as caught:
            await client.update_collection(dataclasses.replace(SETTINGS, **wrong))
    assert (caught.value.reason, caught.value.field) == (Reason.OPTION_INVALID, field)


async def test_a_time_without_a_time_zone_is_refused() -> None:
    async with AsyncMatcherClient("127.0.0.1:1") as client:
        with pytest.raises(FacerecError, match="time zone") as caught:
            await client.enroll("ann", b"image", expire_time=datetime.datetime(2099, 1, 1))
    assert (caught.value.reason, caught.value.field) == (Reason.OPTION_INVALID, "expire_time")
