// Package facerec connects to the services of facerec, and says why a call failed.
//
// The stubs are in the packages encoder/v1 and matcher/v1 below it:
//
//	conn, err := facerec.DialMatcher("127.0.0.1:50052", facerec.Options{})
//	matcher := matcherv1.NewMatcherServiceClient(conn)
//	answer, err := matcher.Verify(ctx, &matcherv1.VerifyRequest{PersonId: "ann", Probe: facerec.Photo(image)})
package facerec

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // for the healthCheckConfig of the service configs
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
)

const (
	maxMessageBytes  = 48 << 20 // the services' own limit
	defaultTimeout   = 30 * time.Second
	keepalivePeriod  = 30 * time.Second
	keepaliveTimeout = 10 * time.Second
)

// Options say how a service is reached.
type Options struct {
	// Key is the API key of a locked service.
	Key string
	// CA holds the certificates of authorities, as PEM, that the service's certificate is checked against. Without it,
	// and without TLS, calls are in plain text.
	CA []byte
	// TLS encrypts calls; without CA the system's authorities are trusted.
	TLS bool
	// PlaintextKey allows the key to be sent in plain text to other machines, where anybody on the way can read it.
	PlaintextKey bool
	// Timeout is the deadline of each call that is no stream and whose context has none, all of its attempts together.
	// Default: 30 seconds.
	Timeout time.Duration
}

// DialMatcher returns a connection for the clients of the matcher's services, MatcherService and CollectionService.
//
// The address is HOST:PORT, or a target of gRPC's own. Calls go in turn to the replicas behind the name that report
// SERVING; those that are safe to retry are sent up to four times if they end as UNAVAILABLE. It connects in the
// background. It fails if the CA has no certificate, or the key would be sent in plain text to another machine.
func DialMatcher(address string, o Options) (*grpc.ClientConn, error) {
	return dial(address, o, matcherConfig)
}

// DialEncoder returns a connection for the client of the encoder's EncoderService, like DialMatcher.
func DialEncoder(address string, o Options) (*grpc.ClientConn, error) {
	return dial(address, o, encoderConfig)
}

func dial(address string, o Options, serviceConfig string) (*grpc.ClientConn, error) {
	transport, err := transportOf(address, o)
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(transport),
		grpc.WithChainUnaryInterceptor(o.unary),
		grpc.WithChainStreamInterceptor(o.stream),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithNoProxy(), // photos go to the services alone
		grpc.WithDefaultCallOptions(
			grpc.MaxCallSendMsgSize(maxMessageBytes),
			grpc.MaxCallRecvMsgSize(maxMessageBytes),
			grpc.MaxRetryRPCBufferSize(maxMessageBytes)), // a request beyond it is not sent again
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: keepalivePeriod, Timeout: keepaliveTimeout, PermitWithoutStream: true}),
	)
}

func transportOf(address string, o Options) (credentials.TransportCredentials, error) {
	switch {
	case o.CA != nil:
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("facerec: no certificate in Options.CA")
		}
		return credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}), nil
	case o.TLS:
		return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12}), nil
	case o.Key != "" && !o.PlaintextKey && !isLoopback(address):
		return nil, fmt.Errorf("facerec: the key would be sent to %s in plain text; set Options.TLS or CA, or PlaintextKey",
			address)
	}
	return insecure.NewCredentials(), nil
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// unary gives a call its deadline, and the key.
func (o Options) unary(ctx context.Context, method string, request, answer any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, has := ctx.Deadline(); !has {
		timeout := o.Timeout
		if timeout == 0 {
			timeout = defaultTimeout
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return invoke(o.withKey(ctx), method, request, answer, conn, opts...)
}

func (o Options) stream(ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, method string,
	open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return open(o.withKey(ctx), description, conn, method, opts...)
}

func (o Options) withKey(ctx context.Context) context.Context {
	if o.Key == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+o.Key)
}
