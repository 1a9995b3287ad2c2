"""The encoder's asyncio stub with its types, and message limits for large images."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # at run time one stub serves both forms
    from facerec.encoder.v1.encoder_pb2_grpc import EncoderServiceAsyncStub as EncoderStub
else:
    from facerec.encoder.v1 import EncoderServiceStub as EncoderStub

__all__ = ["CHANNEL_OPTIONS", "EncoderStub"]

CHANNEL_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
