"""How either service is put on the wire: server, status, settings, logs.

Nothing here imports a service.
"""

import os

# gRPC's core writes a line to stderr for each invalid call, whoever sends it. It asks when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
