"""The matcher: stores face encodings in Postgres and decides who a face is."""

import os

# Set before numpy is loaded. Calibration multiplies small blocks of vectors in a worker thread; with one BLAS
# thread per core that takes four times the CPU, away from concurrent calls.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
