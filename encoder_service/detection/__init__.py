"""Face detection: dlib's HOG detector and its CNN."""
