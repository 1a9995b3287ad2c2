"""The contract's EncoderService over the encoder: messages in and out, nothing else."""

import asyncio
from typing import Any, Final

import grpc.aio

from encoder_service import model, requests
from encoder_service.embedding import DIMENSIONS
from encoder_service.encoder import Encoder
from encoder_service.errors import ModelUnavailable
from encoder_service.faces import Alignment, Encoding, Face, FacesOfImage, Landmarks
from encoder_service.images import FORMATS
from encoder_service.settings import EncoderSettings
from facerec.encoder.v1 import encoder_pb2 as pb
from facerec.encoder.v1 import encoder_pb2_grpc

SERVICE_NAME: Final = pb.DESCRIPTOR.services_by_name["EncoderService"].full_name

_ALIGNMENTS: Final = {
    Alignment.SMALL: pb.ALIGNMENT_SMALL,
    Alignment.LARGE: pb.ALIGNMENT_LARGE,
}

Context = grpc.aio.ServicerContext[Any, Any]


class EncoderServicer(encoder_pb2_grpc.EncoderServiceServicer):
    """Answers MODEL_UNAVAILABLE until it is given an encoder."""

    def __init__(self, settings: EncoderSettings) -> None:
        self._settings = settings
        self._encoder: Encoder | None = None
        self._unavailable = "the models are still loading"

    def serve(self, encoder: Encoder) -> None:
        """Answer with this encoder from now on."""
        self._encoder = encoder

    def refuse(self, why: str) -> None:
        """Answer that no model is available, and why."""
        self._unavailable = why

    @property
    def encoder(self) -> Encoder:
        """The encoder. Raises ModelUnavailable where there is none."""
        if self._encoder is None:
            raise ModelUnavailable(self._unavailable, retry_after_seconds=1.0)
        return self._encoder

    async def Encode(self, request: pb.EncodeRequest, context: Context) -> pb.EncodeResponse:  # noqa: D102
        options = requests.encode_options(request)
        found = await self.encoder.encode(request.image, options)
        with_landmarks = request.options.return_landmarks
        return await asyncio.to_thread(_encode_response, found, with_landmarks=with_landmarks)

    async def DetectFaces(  # noqa: D102
        self, request: pb.DetectFacesRequest, context: Context
    ) -> pb.DetectFacesResponse:
        options = requests.detect_options(request)
        found = await self.encoder.detect(request.image, options)
        return await asyncio.to_thread(_detect_response, found)

    def EncodeStream(self, request_iterator: Any, context: Any) -> Any:
        """Answer UNIMPLEMENTED, as the generated method does."""
        return super().EncodeStream(request_iterator, context)

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:  # noqa: D102
        loaded = self.encoder.model
        return pb.GetModelResponse(
            name=loaded.name,
            space=loaded.space(Alignment.SMALL),
            spaces=[loaded.space(alignment) for alignment in Alignment],
            fingerprint=loaded.fingerprint,
            dimensions=DIMENSIONS,
            detectors=[pb.DETECTOR_HOG],
            alignments=[_ALIGNMENTS[alignment] for alignment in Alignment],
            execution_provider=loaded.provider,
            limits=pb.Limits(
                max_image_bytes=self._settings.max_image_bytes,
                max_pixels=self._settings.max_pixels,
                max_request_bytes=self._settings.max_request_bytes,
                image_formats=FORMATS,
            ),
            server_version=model.server_version(),
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
    )


def _encoding(encoding: Encoding) -> pb.Encoding:
    return pb.Encoding(
        values=encoding.values.tolist(), space=encoding.space, fingerprint=encoding.fingerprint
    )


def _landmarks(landmarks: Landmarks) -> pb.Landmarks:
    points = [pb.Point(x=x, y=y) for x, y in landmarks.points.tolist()]
    return pb.Landmarks(alignment=_ALIGNMENTS[landmarks.alignment], points=points)
