"""The annotations of fields are those that their comments ask for, and reflection describes them."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api import field_behavior_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import facerec.encoder.v1 as encoder_pb
import facerec.matcher.v1 as matcher_pb
from facerec.client.failures import from_rpc_error
from scripts import field_behavior
from tests.contract import comments

FILES = sorted(str(path.relative_to(comments.PROTOS)) for path in comments.PROTOS.rglob("*.proto"))
ENCODER, MATCHER = "facerec.encoder.v1.EncoderService", "facerec.matcher.v1.MatcherService"


@pytest.mark.parametrize("path", FILES)
def test_a_file_has_the_annotations_that_its_comments_ask_for(path: str) -> None:
    text = (comments.PROTOS / path).read_text(encoding="utf-8")
    assert text == field_behavior.annotated(path), "run python -m scripts.field_behavior"


@pytest.mark.parametrize("path", FILES)
def test_annotating_twice_is_annotating_once(path: str, tmp_path: Any, monkeypatch: Any) -> None:
    once = field_behavior.annotated(path)
    for each in FILES:
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).write_text(once if each == path else (comments.PROTOS / each).read_text())
    monkeypatch.setattr(field_behavior, "PROTOS", tmp_path)
    assert field_behavior.annotated(path) == once


def described(field: Any) -> list[str]:
    """The behaviors of a field that the stubs have."""
    behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return [field_behavior_pb2.FieldBehavior.Name(each) for each in behaviors]


def stubs_fields() -> Iterator[Any]:
    for module in (encoder_pb, matcher_pb):
        for message in module.DESCRIPTOR.message_types_by_name.values():
            yield from message.fields


def test_the_stubs_have_the_annotations() -> None:
    expected = field_behavior.behaviors()
    for field in stubs_fields():
        behavior = expected.get(field.full_name)
        assert described(field) == ([behavior] if behavior else []), field.full_name


def test_the_rules_cover_ids_lists_images_probes_and_resources() -> None:
    behaviors = field_behavior.behaviors()
    matcher = "facerec.matcher.v1"
    assert {
        name: behaviors.get(name)
        for name in (
            "facerec.encoder.v1.EncodeRequest.image",
            f"{matcher}.GetPersonRequest.person_id",
            f"{matcher}.IdentifyRequest.probes",
            f"{matcher}.GetFaceRequest.face_id",
            f"{matcher}.EnrollItem.probe",
            f"{matcher}.LabelValues.values",
            f"{matcher}.GetPersonRequest.collection_id",
            f"{matcher}.Probe.encoding",
            f"{matcher}.EnrollRequest.request_id",
            f"{matcher}.Person.face_count",
            f"{matcher}.Person.display_name",
            f"{matcher}.Collection.space",
            f"{matcher}.Collection.collection_id",
        )
    } == {
        "facerec.encoder.v1.EncodeRequest.image": "REQUIRED",
        f"{matcher}.GetPersonRequest.person_id": "REQUIRED",
        f"{matcher}.IdentifyRequest.probes": "REQUIRED",
        f"{matcher}.GetFaceRequest.face_id": "REQUIRED",
        f"{matcher}.EnrollItem.probe": "REQUIRED",
        f"{matcher}.LabelValues.values": "REQUIRED",
        f"{matcher}.GetPersonRequest.collection_id": None,
        f"{matcher}.Probe.encoding": None,
        f"{matcher}.EnrollRequest.request_id": None,
        f"{matcher}.Person.face_count": "OUTPUT_ONLY",
        f"{matcher}.Person.display_name": None,
        f"{matcher}.Collection.space": "IMMUTABLE",
        f"{matcher}.Collection.collection_id": "IDENTIFIER",
    }


@pytest.mark.parametrize("service", [ENCODER, MATCHER])
def test_reflection_alone_describes_a_service_with_its_annotations(
    service: str, encoder_address: str, matcher_address: str
) -> None:
    with grpc.insecure_channel(encoder_address if service == ENCODER else matcher_address) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=service)
        (answer,) = stub.ServerReflectionInfo(iter([asked]))
    pool = descriptor_pool.DescriptorPool()
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(file)
        for file in answer.file_descriptor_response.file_descriptor_proto
    ]
    names = {file.name for file in files}
    assert all(names.issuperset(file.dependency) for file in files)
    while files:  # those first whose imports are there
        ready = [file for file in files if not {each.name for each in files}.intersection(file.dependency)]
        for file in ready:
            pool.AddSerializedFile(file.SerializeToString())
            files.remove(file)
    assert pool.FindServiceByName(service).methods
    encoding = pool.FindMessageTypeByName("facerec.encoder.v1.Encoding")
    assert described(encoding.fields_by_name["values"]) == ["REQUIRED"]


def item(**left_out: Any) -> Any:
    fields: dict[str, Any] = {"item_id": "i", "request": encoder_pb.EncodeRequest(image=b"x")} | left_out
    return encoder_pb.EncodeStreamRequest(**fields)


@pytest.mark.parametrize(
    ("left_out", "field"),
    [({"item_id": ""}, "item_id"), ({"request": None}, "image")],
    ids=["item_id", "request"],
)
def test_an_item_of_a_stream_without_a_required_field_is_refused_by_it(
    encoder_address: str, left_out: dict[str, Any], field: str
) -> None:
    with grpc.insecure_channel(encoder_address) as channel:
        (answer,) = encoder_pb.EncoderServiceStub(channel).EncodeStream(iter([item(**left_out)]))
    assert (answer.error.code, answer.error.field) == (grpc.StatusCode.INVALID_ARGUMENT.value[0], field)


HEADER = {"import_id": "i", "space": "dlib-resnet-v1/small/150x0.25"}
CHUNK = {"encodings": bytes(512), "person_ids": ["ann"]}


@pytest.mark.parametrize(
    ("header", "chunk", "field"),
    [
        (HEADER | {"import_id": ""}, CHUNK, "header.import_id"),
        (HEADER | {"space": ""}, CHUNK, "header.space"),
        (HEADER, CHUNK | {"encodings": b""}, "chunk.encodings"),
        (HEADER, CHUNK | {"person_ids": []}, "chunk.person_ids"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_import_without_a_required_field_is_refused_by_it(
    matcher_address: str, header: dict[str, Any], chunk: dict[str, Any], field: str
) -> None:
    parts = [
        matcher_pb.ImportFacesRequest(header=matcher_pb.ImportHeader(**header)),
        matcher_pb.ImportFacesRequest(chunk=matcher_pb.FaceChunk(**chunk)),
    ]
    with grpc.insecure_channel(matcher_address) as channel, pytest.raises(grpc.RpcError) as caught:
        matcher_pb.MatcherServiceStub(channel).ImportFaces(iter(parts))
    assert from_rpc_error(caught.value, "the matcher").field == field
