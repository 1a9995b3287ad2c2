"""The gRPC server that both services share: middleware, authentication, settings, logs, metrics.

Nothing here imports a service.
"""

import os

# gRPC's core writes a line to stderr for each invalid call of any sender. It reads this when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
