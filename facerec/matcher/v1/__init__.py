"""facerec.matcher.v1: every message, enum, stub and servicer of the contract."""

from facerec.matcher.v1.audit_pb2 import *  # noqa: F403
from facerec.matcher.v1.calibration_pb2 import *  # noqa: F403
from facerec.matcher.v1.caller_pb2 import *  # noqa: F403
from facerec.matcher.v1.consistency_pb2 import *  # noqa: F403
from facerec.matcher.v1.erasure_pb2 import *  # noqa: F403
from facerec.matcher.v1.matcher_pb2 import *  # noqa: F403
from facerec.matcher.v1.matcher_pb2_grpc import *  # noqa: F403
from facerec.matcher.v1.review_pb2 import *  # noqa: F403
from facerec.matcher.v1.score_rule_pb2 import *  # noqa: F403
from facerec.matcher.v1.transfer_pb2 import *  # noqa: F403
