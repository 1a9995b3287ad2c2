"""CheckResult faces: dlib's HOG detector and its CNN."""
