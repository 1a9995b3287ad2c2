"""What the encoder costs and keeps, beside face_recognition and dlib themselves.

`python -m tests.benchmarks.encoder bench` prints the encoder's tables of docs/measurements, `soak` those of
load and of hostile input; short forms of both run in the test suite.
"""
