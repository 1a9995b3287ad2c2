"""dlib's MMOD face detector around its network: the tiled pyramid, and boxes from scores.

What is computed follows dlib's dlib/dnn/input.h, dlib/dnn/loss.h and
dlib/image_transforms/image_pyramid.h, so that boxes are those of `cnn_face_detection_model_v1`.
"""
