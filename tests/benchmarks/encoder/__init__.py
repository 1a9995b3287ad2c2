"""What the encoder costs and keeps, beside face_recognition and dlib themselves.

`python -m tests.benchmarks.encoder bench` prints the tables of docs/encoder.md, `soak` those of load
and of hostile input; short forms of both run in the test suite.
"""
