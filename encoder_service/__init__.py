"""The encoder service: images in, the 128-d encodings of `face_recognition` out."""
