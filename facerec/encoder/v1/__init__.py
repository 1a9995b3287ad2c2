"""facerec.encoder.v1: every message, enum, stub and servicer of the contract."""

from facerec.encoder.v1.encoder_pb2 import *  # noqa: F403
from facerec.encoder.v1.encoder_pb2_grpc import *  # noqa: F403
