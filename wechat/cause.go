package wechat

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// cause is why a call failed if WeChat gave no errcode: one of the constants below, or what causeMissing returns.
type cause string

// Error returns the text.
func (c cause) Error() string { return string(c) }

const (
	causeNoCode       cause = "not a code of WeChat's; not sent"
	causeNoHost       cause = "the host name cannot be resolved"
	causeNoConnection cause = "no connection"
	causeCertificate  cause = "the certificate cannot be verified"
	causeLost         cause = "the connection was lost, or the answer is not HTTP"
	causeTooLong      cause = "the answer is too long"
	causeNotJSON      cause = "the answer is not the JSON expected"
)

// causeMissing names the fields that an answer should have: names of this package's, not WeChat's words.
func causeMissing(fields []string) cause {
	return cause("the answer holds no usable " + strings.Join(fields, ", "))
}

// sanitize reduces a transport's error to what is known to be harmless. net/http's own error for a failed GET prints
// the whole URL, secret and code included, and errors of proxies and wrapped transports may print anything, so that
// nothing of err is kept but its class.
func sanitize(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	why := class(err)
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return fmt.Errorf("%w: %w", why, errno) // a number whose text is the system's
	}
	return why
}

func class(err error) cause {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return causeCertificate
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return causeNoHost
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return causeNoConnection
	}
	return causeLost
}
