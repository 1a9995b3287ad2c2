"""The calls about collections."""

from typing import Any

import facerec.matcher.v1 as pb
from facerec.gateway.rekognition.calls import Calls, Json
from facerec.gateway.rekognition.errors import no_collection
from facerec.gateway.rekognition.parameters import Parameters

MAX_PAGE = 1000


def arn(collection_id: str) -> str:
    """The name of a collection in the form of AWS, in a partition of its own."""
    return f"arn:facerec:rekognition:::collection/{collection_id}"


async def create_collection(parameters: Parameters, calls: Calls) -> Json:
    """CreateCollection. Faces are people of their own here, so others that are alike are no duplicates."""
    collection_id = parameters.text("CollectionId")
    parameters.refuse_if_given("Tags", "a collection has no tags here")
    parameters.end()
    settings = pb.CollectionSettings(duplicate_policy=pb.DUPLICATE_POLICY_ALLOW)
    request = pb.CreateCollectionRequest(collection_id=collection_id, settings=settings)
    collection = (await calls.call(request)).collection
    return {
        "StatusCode": 200,
        "CollectionArn": arn(collection.collection_id),
        "FaceModelVersion": collection.space,
    }


async def list_collections(parameters: Parameters, calls: Calls) -> Json:
    """ListCollections."""
    request = pb.ListCollectionsRequest(
        page_size=page_size(parameters), page_token=parameters.optional_text("NextToken")
    )
    parameters.end()
    answer = await calls.call(request)
    found: Json = {
        "CollectionIds": [each.collection_id for each in answer.collections],
        "FaceModelVersions": [each.space for each in answer.collections],
    }
    return with_token(found, answer)


async def describe_collection(parameters: Parameters, calls: Calls) -> Json:
    """DescribeCollection."""
    collection_id = parameters.text("CollectionId")
    parameters.end()
    collection = (await calls.call(pb.GetCollectionRequest(collection_id=collection_id))).collection
    return {
        "FaceCount": collection.estimated_faces,
        "FaceModelVersion": collection.space,
        "CollectionARN": arn(collection.collection_id),
        "CreationTimestamp": collection.create_time.ToMicroseconds() / 1e6,
    }


async def delete_collection(parameters: Parameters, calls: Calls) -> Json:
    """DeleteCollection, with everybody in it."""
    collection_id = parameters.text("CollectionId")
    parameters.end()
    answer = await calls.call(pb.DeleteCollectionRequest(collection_id=collection_id, force=True))
    if not answer.collections_deleted:
        raise no_collection()
    return {"StatusCode": 200}


def page_size(parameters: Parameters, *, most: int = 4096) -> int:
    """The parameter MaxResults, which Rekognition lets be up to `most`; pages have at most MAX_PAGE."""
    return min(parameters.whole("MaxResults", default=0, least=0, most=most) or MAX_PAGE, MAX_PAGE)


def with_token(found: Json, answer: Any) -> Json:
    """A page with the token of the next one, if there is one."""
    if answer.next_page_token:
        found["NextToken"] = answer.next_page_token
    return found
