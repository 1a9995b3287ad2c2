"""The gRPC server that both services share: middleware, authentication, settings, logs, metrics.

No module here imports a service; `entry` loads the one that its caller names, by the name.
"""

import os

# gRPC's core writes a line to stderr for each invalid call of any sender. It reads this when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
