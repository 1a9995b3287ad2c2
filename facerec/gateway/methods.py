"""The methods of both services, read from their descriptors."""

import dataclasses
from typing import Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import matcher_pb2


@dataclasses.dataclass(frozen=True)
class Method:
    """A method of a service: its path, `/SERVICE/METHOD`, and the classes of its messages."""

    path: str
    request: type[Message]
    response: type[Message]
    request_streaming: bool
    response_streaming: bool

    @property
    def service(self) -> str:
        """The service's full name."""
        return self.path.split("/")[1]

    @property
    def name(self) -> str:
        """The method's own name."""
        return self.path.split("/")[2]

    @property
    def kind(self) -> str:
        """unary_unary, unary_stream, stream_unary or stream_stream."""
        return "_".join(
            "stream" if streaming else "unary"
            for streaming in (self.request_streaming, self.response_streaming)
        )


def _method(described: MethodDescriptor) -> Method:
    return Method(
        path=f"/{described.containing_service.full_name}/{described.name}",
        request=GetMessageClass(described.input_type),
        response=GetMessageClass(described.output_type),
        request_streaming=described.client_streaming,
        response_streaming=described.server_streaming,
    )


METHODS: Final = {
    method.path: method
    for file in (encoder_pb2.DESCRIPTOR, matcher_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in map(_method, service.methods)
}
"""Every method of the contract, by its path."""


def namesake(path: str) -> str:
    """The path of the method that has the name of a path's last step; empty for none."""
    name = path.rpartition("/")[2]
    return next((each for each, method in METHODS.items() if method.name == name), "")
