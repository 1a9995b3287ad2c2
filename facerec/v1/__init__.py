"""facerec.v1: what both services of the contract share."""

from facerec.v1.caller_pb2 import *  # noqa: F403
from facerec.v1.error_reason_pb2 import *  # noqa: F403
