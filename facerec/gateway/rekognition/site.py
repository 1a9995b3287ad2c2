"""Answers requests in the protocol of Rekognition: JSON to `/`, with the call in the header X-Amz-Target."""

import asyncio
import dataclasses
import datetime
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from google.protobuf.message import Message

import facerec.encoder.v1 as encoder_pb
import facerec.matcher.v1 as pb
from facerec.gateway.admission import BodyReader, Scope
from facerec.gateway.answers import AnswerSender
from facerec.gateway.exchange import Exchange
from facerec.gateway.failures import Failed
from facerec.gateway.forwarding import Forwarder
from facerec.gateway.hangups import unless_gone
from facerec.gateway.rekognition import (
    collections,
    comparison,
    errors,
    faces,
    searches,
    signatures,
    users,
)
from facerec.gateway.rekognition.calls import METHOD_OF, Calls, Json
from facerec.gateway.rekognition.errors import Refused
from facerec.gateway.rekognition.keys import AccessKeys
from facerec.gateway.rekognition.parameters import Parameters
from facerec.gateway.rekognition.signatures import Signature

TARGET: Final = "RekognitionService."
_CONTENT_TYPE: Final = b"application/x-amz-json-1.1"


@dataclasses.dataclass(frozen=True)
class Operation:
    """A call of Rekognition, and the request of the method under which it is counted and logged."""

    answer: Callable[[Parameters, Calls], Awaitable[Json]]
    counted_as: type[Message]


OPERATIONS: Final[Mapping[str, Operation]] = {
    "CreateCollection": Operation(collections.create_collection, pb.CreateCollectionRequest),
    "ListCollections": Operation(collections.list_collections, pb.ListCollectionsRequest),
    "DescribeCollection": Operation(collections.describe_collection, pb.GetCollectionRequest),
    "DeleteCollection": Operation(collections.delete_collection, pb.DeleteCollectionRequest),
    "DetectFaces": Operation(faces.detect_faces, encoder_pb.DetectFacesRequest),
    "IndexFaces": Operation(faces.index_faces, pb.EnrollRequest),
    "ListFaces": Operation(faces.list_faces, pb.ListFacesRequest),
    "DeleteFaces": Operation(faces.delete_faces, pb.DeletePersonRequest),
    "SearchFaces": Operation(searches.search_faces, pb.IdentifyRequest),
    "SearchFacesByImage": Operation(searches.search_faces_by_image, pb.IdentifyRequest),
    "SearchUsers": Operation(searches.search_users, pb.IdentifyRequest),
    "SearchUsersByImage": Operation(searches.search_users_by_image, pb.IdentifyRequest),
    "CompareFaces": Operation(comparison.compare_faces, pb.CompareRequest),
    "CreateUser": Operation(users.create_user, pb.UpdatePersonRequest),
    "DeleteUser": Operation(users.delete_user, pb.RenamePersonRequest),
    "ListUsers": Operation(users.list_users, pb.ListPersonsRequest),
    "AssociateFaces": Operation(users.associate_faces, pb.MergePersonsRequest),
    "DisassociateFaces": Operation(users.disassociate_faces, pb.MoveFacesRequest),
}
"""The calls that are answered."""


class RekognitionSite:
    """Answers the calls of OPERATIONS, signed with the access keys of a file.

    A call that takes longer than `max_call_seconds` is ended. Raises SettingsInvalid for an invalid file.
    """

    def __init__(self, keys_file: Path, forwarder: Forwarder, *, max_call_seconds: float) -> None:
        self._keys = AccessKeys(keys_file)
        self._calls = Calls(forwarder)
        self._max_call_seconds = max_call_seconds

    def takes(self, scope: Scope, current: Exchange) -> bool:
        """Whether a request is in this protocol."""
        is_there = scope["method"] == "POST" and scope["raw_path"] == b"/"
        return is_there and current.headers.get("x-amz-target", "").startswith(TARGET)

    async def answer(self, scope: Scope, body: BodyReader, answer: AnswerSender, current: Exchange) -> None:
        """Answer a request, its errors included."""
        try:
            name, message = "", await self._answer(scope, body, current)
        except Failed as failed:
            name = errors.name_of(failed)
            message = errors.to_json(name, errors.message_of(failed))
        except Refused as refused:
            current.code, current.call.reason = refused.code, refused.reason.value
            name, message = refused.name, errors.to_json(refused.name, refused.message)
        http_status = errors.http_status_of(name) if name else 200
        request_id = (b"x-amzn-requestid", current.call.request_id.encode())
        await answer.send_all(http_status, message, [request_id], content_type=_CONTENT_TYPE)

    async def _answer(self, scope: Scope, body: BodyReader, current: Exchange) -> bytes:
        body.check()
        headers = signatures.joined(scope["headers"])
        name = headers["x-amz-target"].removeprefix(TARGET)
        operation = OPERATIONS.get(name)
        if operation is None:
            raise Refused("UnknownOperationException", "this call of Rekognition is not offered here")
        current.method = METHOD_OF[operation.counted_as]
        signed = signatures.read(headers, datetime.datetime.now(datetime.UTC))
        secret = self._keys.secret(signed.access_key_id)
        if secret is None:
            raise errors.unknown_key("the access key is not known here: check the access key id")
        if scope["query_string"]:
            raise errors.invalid("the path has no query")
        parameters = await asyncio.to_thread(_checked, signed, secret, await body.read_all())
        current.headers["authorization"] = f"Bearer {secret}"
        return await unless_gone(body, self._run(operation, parameters))

    async def _run(self, operation: Operation, parameters: Parameters) -> bytes:
        try:
            async with asyncio.timeout(self._max_call_seconds):
                found = await operation.answer(parameters, self._calls)
        except TimeoutError:
            raise errors.too_slow(self._max_call_seconds) from None
        return json.dumps(found, ensure_ascii=False).encode()


def _checked(signed: Signature, secret: str, body: bytes) -> Parameters:
    """The parameters of a body whose signature is right. Raises Refused."""
    signed.check(secret, body)
    return Parameters(body)
