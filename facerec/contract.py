"""Constants of the contract, which the comments in protos/ state too."""

from typing import Final

DIMENSIONS: Final = 128
"""The number of values of an encoding."""

MAX_FACE_PIXELS: Final = 65_535
"""The largest `min_face_pixels`: the side of the largest image."""

DEFAULT_SPACE: Final = "dlib-resnet-v1/small/150x0.25"
"""The embedding space of face_recognition's face_encodings: weights, landmarks, chip size and padding."""

DEFAULT_COLLECTION_ID: Final = "default"
"""The collection of a call that names none; the first migration creates it."""
