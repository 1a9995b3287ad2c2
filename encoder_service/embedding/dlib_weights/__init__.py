"""Converts dlib's networks to ONNX: reads .dat files, writes graphs, caches them on disk by content hash.

File format and layer semantics follow dlib's dlib/serialize.h, dlib/dnn/core.h and
dlib/dnn/layers.h.
"""
