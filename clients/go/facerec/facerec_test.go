package facerec

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	matcherv1 "facerec.internal/go/facerec/matcher/v1"
	facerecv1 "facerec.internal/go/facerec/v1"
)

// failing is a matcher that fails as told before it answers.
type failing struct {
	matcherv1.UnimplementedMatcherServiceServer
	failures []error
	seen     []metadata.MD
	left     time.Duration // of the last call's deadline
}

func (f *failing) answer(ctx context.Context) error {
	sent, _ := metadata.FromIncomingContext(ctx)
	f.seen = append(f.seen, sent)
	deadline, _ := ctx.Deadline()
	f.left = time.Until(deadline)
	if len(f.seen) <= len(f.failures) {
		return f.failures[len(f.seen)-1]
	}
	return nil
}

func (f *failing) Verify(ctx context.Context, _ *matcherv1.VerifyRequest) (*matcherv1.VerifyResponse, error) {
	return &matcherv1.VerifyResponse{}, f.answer(ctx)
}

func (f *failing) MergePersons(ctx context.Context, _ *matcherv1.MergePersonsRequest) (*matcherv1.MergePersonsResponse, error) {
	return &matcherv1.MergePersonsResponse{}, f.answer(ctx)
}

// serve returns a client of the matcher, with a key.
func (f *failing) serve(t *testing.T, o Options) matcherv1.MatcherServiceClient {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, checks := grpc.NewServer(), health.NewServer()
	matcherv1.RegisterMatcherServiceServer(server, f)
	checks.SetServingStatus(matcherv1.MatcherService_ServiceDesc.ServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, checks)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	conn, err := DialMatcher(listener.Addr().String(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return matcherv1.NewMatcherServiceClient(conn)
}

func refused(code codes.Code, details ...protoadapt.MessageV1) error {
	with, err := status.New(code, "refused").WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return with.Err()
}

func TestASafeCallIsSentAgainUntilTheServiceIsAvailable(t *testing.T) {
	unavailable := refused(codes.Unavailable)
	matcher := &failing{failures: []error{unavailable, unavailable}}
	_, err := matcher.serve(t, Options{Key: "secret", Timeout: 20 * time.Second}).Verify(context.Background(), nil)
	if err != nil || len(matcher.seen) != 3 {
		t.Fatalf("%v after %d calls", err, len(matcher.seen))
	}
	for _, sent := range matcher.seen {
		if key := sent.Get("authorization"); len(key) != 1 || key[0] != "Bearer secret" {
			t.Errorf("the key: %v", key)
		}
	}
	if matcher.left <= 0 || matcher.left > 20*time.Second {
		t.Errorf("the deadline: %v", matcher.left)
	}
}

func TestACallThatIsNotSafeToRepeatIsSentOnce(t *testing.T) {
	matcher := &failing{failures: []error{refused(codes.Unavailable)}}
	_, err := matcher.serve(t, Options{}).MergePersons(context.Background(), nil)
	if RefusalOf(err).Code != codes.Unavailable || len(matcher.seen) != 1 {
		t.Fatalf("%v after %d calls", err, len(matcher.seen))
	}
}

func TestARefusalHasItsReasonFieldDelayAndMetadata(t *testing.T) {
	metadata := map[string]string{"person_id": "bob"}
	matcher := &failing{failures: []error{refused(codes.AlreadyExists,
		&errdetails.ErrorInfo{Domain: domain, Reason: "FACE_DUPLICATE", Metadata: metadata},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "items[0].probe"}}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)})}}
	_, err := matcher.serve(t, Options{}).Verify(context.Background(), nil)
	found := RefusalOf(err)
	if found.Code != codes.AlreadyExists || found.Reason != "FACE_DUPLICATE" || found.Message != "refused" ||
		found.Field != "items[0].probe" || found.RetryAfter != 1500*time.Millisecond || found.Metadata["person_id"] != "bob" {
		t.Errorf("%+v", found)
	}
	if !Is(err, facerecv1.ErrorReason_FACE_DUPLICATE) || Is(err, facerecv1.ErrorReason_FACE_QUALITY) {
		t.Error("the reason is another")
	}
}

func TestAnErrorOfAnotherDomainHasNoReason(t *testing.T) {
	found := RefusalOf(refused(codes.Internal, &errdetails.ErrorInfo{Domain: "proxy.example", Reason: "INTERNAL"}))
	if found.Reason != "" || found.Code != codes.Internal {
		t.Errorf("%+v", found)
	}
	if found := RefusalOf(errors.New("other")); found.Code != codes.Unknown || found.Message != "other" {
		t.Errorf("%+v", found)
	}
	if RefusalOf(nil).Code != codes.OK || Is(nil, facerecv1.ErrorReason_INTERNAL) {
		t.Error("nil is an error")
	}
}

func TestAKeyIsNotSentInPlainTextToAnotherMachine(t *testing.T) {
	const elsewhere = "matcher.example:50052"
	for address, options := range map[string]Options{
		"":               {Key: "secret"},
		elsewhere:        {Key: "secret"},
		"10.0.0.1:50052": {Key: "secret"},
	} {
		if _, err := DialMatcher(address, options); err == nil {
			t.Errorf("%s: connects", address)
		}
	}
	for _, options := range []Options{{Key: "secret", TLS: true}, {Key: "secret", PlaintextKey: true}, {}} {
		if _, err := DialEncoder(elsewhere, options); err != nil {
			t.Error(err)
		}
	}
	if _, err := DialMatcher("[::1]:50052", Options{Key: "secret"}); err != nil {
		t.Error(err)
	}
	if _, err := DialMatcher(elsewhere, Options{CA: []byte("none")}); err == nil {
		t.Error("a CA without a certificate is taken")
	}
}
