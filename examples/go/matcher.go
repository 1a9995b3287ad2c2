package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // for the service config's healthCheckConfig
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type options struct {
	key           string // of a locked service
	ca            []byte // PEM; plain text without it
	serviceConfig string // JSON: which calls are retried
}

func connect(address string, o options) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if o.ca != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(o.ca) {
			return nil, errors.New("no certificate in the CA's file")
		}
		transport = credentials.NewTLS(&tls.Config{RootCAs: pool})
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithUnaryInterceptor(bounded(o.key, 10*time.Second)),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(48<<20), grpc.MaxCallRecvMsgSize(48<<20),
			grpc.MaxRetryRPCBufferSize(48<<20)), // a request beyond it is not sent again
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	}
	if o.serviceConfig != "" {
		dial = append(dial, grpc.WithDefaultServiceConfig(o.serviceConfig))
	}
	return grpc.NewClient(address, dial...)
}

// bounded gives each call a deadline, and the key if there is one.
func bounded(key string, timeout time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, answer any, conn *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		if key != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
		}
		return invoke(ctx, method, request, answer, conn, opts...)
	}
}

// refusal is why a call failed.
type refusal struct {
	reason string        // a name of ErrorReason; empty where no service gave one
	field  string        // the path of the invalid field
	retry  time.Duration // how long to wait before another try; 0 where no service said
}

func refusalOf(err error) (found refusal) {
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.Domain == "facerec.internal" {
				found.reason = detail.Reason
			}
		case *errdetails.BadRequest:
			if len(detail.FieldViolations) > 0 {
				found.field = detail.FieldViolations[0].Field
			}
		case *errdetails.RetryInfo:
			found.retry = detail.RetryDelay.AsDuration()
		}
	}
	return found
}
