"""Clients of the encoder."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, ClassVar, Unpack

from facerec.client.base import AsyncClient, Client
from facerec.client.calls import encoding
from facerec.client.calls.encoding import Options
from facerec.client.channel import ENCODER_SERVICE
from facerec.client.methods import async_unary, build_request, described_by, unary, with_common_errors
from facerec.client.probes import image_bytes
from facerec.client.results.faces import EncodedImage
from facerec.client.sending import AsyncRequests, Requests
from facerec.encoder import v1
from facerec.errors import FacerecError, Reason

Outcome = tuple[str, EncodedImage | FacerecError]
"""An image's id and its faces, or why it failed."""


class EncoderClient(Client):
    """A blocking client of the encoder. Threads may share it; make it after a fork.

    Use it in a `with`, or call `close`.

    Args:
        address: `HOST:PORT`, or a gRPC target such as `unix:/run/facerec.sock`.
        timeout_seconds: The deadline of each call, in seconds above 0. Default: 30.
        security: A key and TLS, for locked services. Default: plain text, without a key.

    Raises:
        FacerecError: OPTION_INVALID (`field` names the argument), NOT_PERMITTED (a key in plain text to
            another machine).

    Example:
        >>> with EncoderClient("127.0.0.1:50051", timeout_seconds=60) as encoder:
        ...     image = encoder.encode(Path("ann.jpg").read_bytes())
        >>> len(image.faces)
        1
    """

    service = ENCODER_SERVICE
    stub: ClassVar[Any] = v1.EncoderServiceStub

    @with_common_errors
    def encode_stream(
        self, images: Iterable[tuple[str, bytes]], **options: Unpack[Options]
    ) -> Iterator[Outcome]:
        """Encode many images over one call, which has no deadline.

        The server works on a few of them at a time (`get_model().limits.stream_window`) and reads the next
        when an answer was read, so neither side holds many in memory.

        Args:
            images: Pairs of an id, 1 to 128 characters, and the bytes of an image file; for the asyncio
                client an asynchronous iterable of them.
            **options: As of `encode`, for all images: detector, max_faces, upsample, min_face_pixels,
                full_resolution, alignment, return_landmarks.

        Returns:
            An iterator over pairs of an id and its `EncodedImage`, or the `FacerecError` that this image
            failed with, in the order in which they are done; of the asyncio client an asynchronous one. An
            image that failed as OVERLOADED may be sent again.

        Raises:
            FacerecError: OPTION_INVALID, IMAGE_INVALID (an item of `images` is not bytes).
            Exception: Whatever `images` raises.

        Example:
            >>> photos = [("a", Path("ann.jpg").read_bytes()), ("b", b"no image")]
            >>> for image_id, outcome in sorted(encoder.encode_stream(photos), key=lambda pair: pair[0]):
            ...     failed = isinstance(outcome, FacerecError)
            ...     print(image_id, outcome.reason if failed else len(outcome.faces))
            a 1
            b IMAGE_INVALID
        """
        message = build_request(encoding.options_message, options)
        requests = Requests(_item(item_id, image, message) for item_id, image in images)
        call = self._open_stub().EncodeStream(requests, metadata=self._metadata)
        with requests.attached_to(call, self.address):
            yield from map(_outcome, call)

    encode = unary(encoding.encode)
    detect_faces = unary(encoding.detect_faces)
    get_model = unary(encoding.get_model)
    get_caller = unary(encoding.get_caller)


class AsyncEncoderClient(AsyncClient):
    """An asyncio client of the encoder. It belongs to the event loop of its first call.

    Use it in an `async with`, or await `close`. It has the methods of `EncoderClient`, to be awaited;
    `encode_stream` is an asynchronous iterator.

    Args:
        address: `HOST:PORT`, or a gRPC target such as `unix:/run/facerec.sock`.
        timeout_seconds: The deadline of each call, in seconds above 0. Default: 30.
        security: A key and TLS, for locked services. Default: plain text, without a key.

    Raises:
        FacerecError: OPTION_INVALID (`field` names the argument), NOT_PERMITTED (a key in plain text to
            another machine). A call on another event loop raises OPTION_INVALID.

    Example:
        >>> async def photos():
        ...     yield "a", Path("ann.jpg").read_bytes()
        ...     yield "b", Path("door.jpg").read_bytes()
        >>> async def main():
        ...     async with AsyncEncoderClient("127.0.0.1:50051") as encoder:
        ...         image = await encoder.encode(Path("ann.jpg").read_bytes())
        ...         outcomes = [image_id async for image_id, _ in encoder.encode_stream(photos())]
        ...     return len(image.faces), sorted(outcomes)
        >>> asyncio.run(main())
        (1, ['a', 'b'])
    """

    service = ENCODER_SERVICE
    stub: ClassVar[Any] = v1.EncoderServiceStub

    @described_by(EncoderClient.encode_stream)
    async def encode_stream(
        self, images: AsyncIterable[tuple[str, bytes]], **options: Unpack[Options]
    ) -> AsyncIterator[Outcome]:
        """See `EncoderClient.encode_stream`."""
        message = build_request(encoding.options_message, options)
        requests = AsyncRequests(_item(item_id, image, message) async for item_id, image in images)
        call = self._open_stub().EncodeStream(requests, metadata=self._metadata)
        with requests.attached_to(call, self.address):
            async for answer in call:
                yield _outcome(answer)

    encode = async_unary(encoding.encode)
    detect_faces = async_unary(encoding.detect_faces)
    get_model = async_unary(encoding.get_model)
    get_caller = async_unary(encoding.get_caller)


def _item(item_id: str, image: bytes, options: v1.EncodeOptions) -> v1.EncodeStreamRequest:
    request = v1.EncodeRequest(image=image_bytes(image, "request.image"), options=options)
    return v1.EncodeStreamRequest(item_id=item_id, request=request)


def _outcome(answer: v1.EncodeStreamResponse) -> Outcome:
    if answer.HasField("response"):
        return answer.item_id, EncodedImage.from_message(answer.response)
    error = answer.error
    retry = error.retry_after_seconds if error.HasField("retry_after_seconds") else None
    reason = Reason(error.reason) if error.reason in Reason.__members__ else Reason.INTERNAL
    failed = FacerecError(error.message, field=error.field, retry_after_seconds=retry, reason=reason)
    return answer.item_id, failed
