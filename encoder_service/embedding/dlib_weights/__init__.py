"""dlib's networks as ONNX: reads its .dat files and writes graphs, kept on disk by content hash.

File format and layer semantics follow dlib's dlib/serialize.h, dlib/dnn/core.h and
dlib/dnn/layers.h.
"""
