package facerec

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	facerecv1 "facerec.internal/go/facerec/v1"
)

const domain = "facerec.internal"

// Refusal is why a call failed.
type Refusal struct {
	// Code is the canonical code of gRPC.
	Code codes.Code
	// Reason is a name of facerecv1.ErrorReason, or one that only a newer service knows; empty if no service gave one: no
	// service was reached, or the deadline passed, as Code says.
	Reason string
	// Message is a sentence for people.
	Message string
	// Field is the path of the invalid field of the request, such as items[2].probe.image; empty if there is none.
	Field string
	// RetryAfter is how long to wait before another try; 0 if no service said.
	RetryAfter time.Duration
	// Metadata has further values for programs, such as the person_id of FACE_DUPLICATE.
	Metadata map[string]string
}

// RefusalOf returns why a call failed. For nil the code is OK; an error that is none of gRPC's has the code Unknown.
func RefusalOf(err error) Refusal {
	sent := status.Convert(err)
	found := Refusal{Code: sent.Code(), Message: sent.Message()}
	for _, detail := range sent.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.Domain == domain {
				found.Reason, found.Metadata = detail.Reason, detail.Metadata
			}
		case *errdetails.BadRequest:
			if len(detail.FieldViolations) > 0 {
				found.Field = detail.FieldViolations[0].Field
			}
		case *errdetails.RetryInfo:
			found.RetryAfter = detail.RetryDelay.AsDuration()
		}
	}
	return found
}

// Is says whether a call failed for a reason.
func Is(err error, reason facerecv1.ErrorReason) bool {
	return err != nil && RefusalOf(err).Reason == reason.String()
}
