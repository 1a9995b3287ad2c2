"""The encoder's speed, accuracy and memory, compared with face_recognition and dlib.

`python -m tests.benchmarks.encoder bench` prints the encoder's tables of docs/measurements, `soak` those of
load and of hostile input; short forms of both run in the test suite.
"""
