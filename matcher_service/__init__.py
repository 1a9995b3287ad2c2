"""The matcher: faces kept in Postgres, and decisions on who a face is."""

import os

# Before numpy is loaded: calibration multiplies small blocks of vectors on a thread of its own. With a thread
# a core they take four times the CPU, from the calls that are answered meanwhile.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
