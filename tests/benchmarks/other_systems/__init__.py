"""Measures how far other systems' vectors of dlib's network lie from those of face_recognition."""
