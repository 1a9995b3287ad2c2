package facerec_test

import (
	"context"

	"facerec.internal/go/facerec"
	matcherv1 "facerec.internal/go/facerec/matcher/v1"
	facerecv1 "facerec.internal/go/facerec/v1"
)

// verify is what README.md shows.
func verify(ctx context.Context, key string, pem, image []byte, enroll func([]byte) error) error {
	conn, err := facerec.DialMatcher("matcher.example:50052", facerec.Options{Key: key, CA: pem})
	if err != nil {
		return err
	}
	defer conn.Close()
	matcher := matcherv1.NewMatcherServiceClient(conn)
	answer, err := matcher.Verify(ctx, &matcherv1.VerifyRequest{PersonId: "ann", Probe: facerec.Photo(image)})
	if facerec.Is(err, facerecv1.ErrorReason_PERSON_NOT_FOUND) {
		return enroll(image)
	}
	println(answer.GetMatch())
	return err
}

var _ = verify
