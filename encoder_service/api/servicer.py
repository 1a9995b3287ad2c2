"""Implements the contract's EncoderService: converts messages and calls the encoder."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from encoder_service.api import requests, streaming
from encoder_service.decoding.header import FORMATS
from encoder_service.domain.errors import ModelUnavailable
from encoder_service.domain.faces import (
    Alignment,
    DetectorName,
    Encoding,
    Face,
    FacesOfImage,
    Landmarks,
)
from encoder_service.pipeline import model
from encoder_service.pipeline.encoder import Encoder
from encoder_service.settings import EncoderSettings
from facerec.contract import DIMENSIONS
from facerec.encoder.v1 import encoder_pb2 as pb
from facerec.encoder.v1 import encoder_pb2_grpc
from facerec.errors import FacerecError
from facerec.quality_messages import quality_message
from facerec.serving.auth.caller_message import caller_message
from facerec.serving.middleware import call, status
from facerec.serving.middleware.chain import Context
from facerec.serving.middleware.reading.message import StreamMessage

SERVICE_NAME: Final = pb.DESCRIPTOR.services_by_name["EncoderService"].full_name

_ALIGNMENTS: Final = {
    Alignment.SMALL: pb.ALIGNMENT_SMALL,
    Alignment.LARGE: pb.ALIGNMENT_LARGE,
}
_DETECTORS: Final = {DetectorName.HOG: pb.DETECTOR_HOG, DetectorName.CNN: pb.DETECTOR_CNN}


class EncoderServicer(encoder_pb2_grpc.EncoderServiceServicer):
    """Answers MODEL_UNAVAILABLE until it is given an encoder."""

    def __init__(self, settings: EncoderSettings) -> None:
        self._settings = settings
        self._encoder: Encoder | None = None
        self._unavailable = "the models are still loading"

    def serve(self, encoder: Encoder) -> None:
        """Use this encoder from now on."""
        self._encoder = encoder

    def refuse(self, reason: str) -> None:
        """Answer MODEL_UNAVAILABLE with this reason from now on."""
        self._unavailable = reason

    @property
    def encoder(self) -> Encoder:
        """The encoder. Raises ModelUnavailable where there is none."""
        if self._encoder is None:
            raise ModelUnavailable(self._unavailable, retry_after_seconds=1.0)
        return self._encoder

    async def Encode(self, request: pb.EncodeRequest, context: Context) -> pb.EncodeResponse:  # noqa: D102
        return await self._encode(request)

    async def DetectFaces(  # noqa: D102
        self, request: pb.DetectFacesRequest, context: Context
    ) -> pb.DetectFacesResponse:
        encoder = self.encoder
        options = requests.detect_options(request, encoder.defaults, encoder.alignments)
        found = await encoder.detect(request.image, options)
        return await asyncio.to_thread(_detect_response, found)

    async def EncodeStream(  # noqa: D102
        self, request_iterator: AsyncIterator[pb.EncodeStreamRequest], context: Context
    ) -> AsyncIterator[pb.EncodeStreamResponse]:
        window = self._settings.stream_window
        items = ((item, call.keep_message()) async for item in request_iterator)
        async for answer in streaming.answer_each(items, self._answer_kept, window=window):
            yield answer

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:  # noqa: D102
        return _model_response(self.encoder, self._settings)

    async def GetCaller(self, request: pb.GetCallerRequest, context: Context) -> pb.GetCallerResponse:  # noqa: D102
        return pb.GetCallerResponse(caller=caller_message())

    async def _encode(self, request: pb.EncodeRequest) -> pb.EncodeResponse:
        encoder = self.encoder
        options = requests.encode_options(request, encoder.defaults, encoder.alignments)
        found = await encoder.encode(request.image, options)
        with_landmarks = request.options.return_landmarks
        return await asyncio.to_thread(_encode_response, found, with_landmarks=with_landmarks)

    async def _answer_kept(
        self, kept: tuple[pb.EncodeStreamRequest, StreamMessage | None]
    ) -> pb.EncodeStreamResponse:
        """Answer an item; its message counts against the byte budget until then."""
        item, message = kept
        try:
            return await self._answer_item(item)
        finally:
            if message:
                message.end()

    async def _answer_item(self, item: pb.EncodeStreamRequest) -> pb.EncodeStreamResponse:
        try:
            response = await self._encode(requests.item(item))
        except Exception as error:
            known = (
                error if isinstance(error, FacerecError) else status.to_internal_error(error, "EncodeStream")
            )
            return pb.EncodeStreamResponse(item_id=item.item_id, error=_item_error(known))
        return pb.EncodeStreamResponse(item_id=item.item_id, response=response)


def _model_response(encoder: Encoder, settings: EncoderSettings) -> pb.GetModelResponse:
    loaded, defaults = encoder.model, encoder.defaults
    return pb.GetModelResponse(
        name=loaded.name,
        space=loaded.space(defaults.alignment),
        spaces=[loaded.space(alignment) for alignment in encoder.alignments],
        fingerprint=loaded.fingerprint(defaults),
        dimensions=DIMENSIONS,
        detectors=[
            _DETECTORS[name] for name in sorted(DetectorName, key=lambda name: name != defaults.detector)
        ],
        alignments=[_ALIGNMENTS[alignment] for alignment in encoder.alignments],
        execution_provider=loaded.provider,
        execution_note=loaded.fallback_reason,
        full_resolution=defaults.full_resolution,
        copy_side_pixels=settings.copy_side,
        second_copy_side_pixels=settings.second_copy_side,
        limits=pb.Limits(
            max_image_bytes=settings.max_image_bytes,
            max_pixels=settings.max_pixels,
            max_request_bytes=settings.max_request_bytes,
            image_formats=FORMATS,
            max_hog_pixels=settings.max_hog_pixels,
            max_cnn_pixels=settings.max_cnn_pixels,
            stream_window=settings.stream_window,
        ),
        server_version=model.server_version(),
    )


def _item_error(error: FacerecError) -> pb.ItemError:
    return pb.ItemError(
        code=status.CODES[error.reason],
        reason=error.reason,
        message=error.message,
        field=error.field,
        retry_after_seconds=error.retry_after_seconds,
    )


def _encode_response(found: FacesOfImage, *, with_landmarks: bool) -> pb.EncodeResponse:
    return pb.EncodeResponse(
        faces=[_face(face, with_landmarks=with_landmarks) for face in found.faces],
        image_width=found.image_width,
        image_height=found.image_height,
    )


def _detect_response(found: FacesOfImage) -> pb.DetectFacesResponse:
    return pb.DetectFacesResponse(
        faces=[_face(face, with_landmarks=True) for face in found.faces],
        image_width=found.image_width,
        image_height=found.image_height,
    )


def _face(face: Face, *, with_landmarks: bool) -> pb.Face:
    box = face.detection.box
    return pb.Face(
        bounding_box=pb.BoundingBox(top=box.top, right=box.right, bottom=box.bottom, left=box.left),
        detection_score=face.detection.score,
        encoding=_encoding(face.encoding) if face.encoding else None,
        landmarks=_landmarks(face.landmarks) if with_landmarks else None,
        quality=quality_message(face.quality),
    )


def _encoding(encoding: Encoding) -> pb.Encoding:
    return pb.Encoding(
        values=encoding.values.tolist(), space=encoding.space, fingerprint=encoding.fingerprint
    )


def _landmarks(landmarks: Landmarks) -> pb.Landmarks:
    points = [pb.Point(x=x, y=y) for x, y in landmarks.points.tolist()]
    return pb.Landmarks(alignment=_ALIGNMENTS[landmarks.alignment], points=points)
