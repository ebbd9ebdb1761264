package handlers

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// forwardTimeout is how long WECHAT_PUSH_FORWARD may take, as long as WeChat waits.
	forwardTimeout = 5 * time.Second

	// maxForwarded is the largest response of WECHAT_PUSH_FORWARD that is passed on.
	maxForwarded = 64 << 10
)

// forward sends a message on as it came and passes the response back.
func (p *pushes) forward(w http.ResponseWriter, r *http.Request, appID string, body []byte) (outcome string, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), p.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.forwardTo, bytes.NewReader(body))
	if err != nil {
		return pushFailed, err
	}
	req.URL.RawQuery = r.URL.RawQuery
	req.Header.Set("Content-Type", cmp.Or(r.Header.Get("Content-Type"), "text/plain"))
	req.Header.Set(headerAppID, appID)
	res, err := p.client.Do(req)
	if err == nil {
		defer res.Body.Close()
		body, err = io.ReadAll(http.MaxBytesReader(nil, res.Body, maxForwarded))
	}
	if err != nil {
		w.WriteHeader(gatewayStatus(err))
		requestLogFrom(ctx).err.cause = errForward
		return pushFailed, nil
	}
	if contentType := res.Header.Get("Content-Type"); contentType != "" {
		w.Header().Set("Content-Type", contentType)
	}
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(body) // an error means that WeChat is gone
	return pushForwarded, nil
}

// errForward hides the error of a forwarded message, which may contain its URL with the signature.
var errForward = errors.New("the receiver at WECHAT_PUSH_FORWARD failed")

// gatewayStatus is 504 if an error means that a response was too late, and else 502.
func gatewayStatus(err error) int {
	if errors.Is(err, context.DeadlineExceeded) {
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}
