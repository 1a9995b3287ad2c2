package facerec

import matcherv1 "facerec.internal/go/facerec/matcher/v1"

// Photo is the face in a photo, as a request's probe. The bytes are those of an image file.
func Photo(image []byte) *matcherv1.Probe {
	return &matcherv1.Probe{Face: &matcherv1.Probe_Image{Image: image}}
}
