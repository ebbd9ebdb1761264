package handlers_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"testing"

	"wxlogin/handlers"
	"wxlogin/wechat"
)

// slowWeChat is an app that never gets a response from WeChat.
type slowWeChat struct {
	handlers.CodeExchanger
	called chan struct{}
}

func (p slowWeChat) Code2Session(ctx context.Context, _ string) (wechat.Session, error) {
	p.called <- struct{}{}
	<-ctx.Done()
	return wechat.Session{}, fmt.Errorf("given up: %w", ctx.Err())
}

func TestAccessLog_ClientClosedRequest(t *testing.T) {
	asked := make(chan struct{})
	srv := newTestServer(t, func(cfg *serverConfig) {
		cfg.wrapApp = func(e handlers.CodeExchanger) handlers.CodeExchanger { return slowWeChat{e, asked} }
	})
	ctx, cancel := context.WithCancel(t.Context())
	req := srv.request("/onLogin", formType, url.Values{"code": {srv.device("alice").Login()}}.Encode()).WithContext(ctx)
	req.Header.Set("X-Request-Id", "impatient")
	go func() {
		<-asked
		cancel()
	}()
	if _, err := http.DefaultClient.Do(req); err == nil {
		t.Fatal("the request got a response")
	}
	srv.public.Close() // waits for the handler
	if line := srv.logLine("impatient"); line["status"] != 499.0 || line["level"] != "INFO" {
		t.Errorf("the log line is %v", line)
	}
	srv.wantUsers("0", "0")
	srv.wantNoKeys()
}

func TestNewPublic_RequiredOptions(t *testing.T) {
	whole := handlers.PublicOptions{
		Apps: []handlers.CodeExchanger{okWeChat{}}, Sessions: blockedStore{}, Users: blockedStore{},
		Logger: slog.New(slog.DiscardHandler), Metrics: handlers.NewMetrics(),
	}
	for name, remove := range map[string]func(*handlers.PublicOptions){
		"apps":     func(o *handlers.PublicOptions) { o.Apps = nil },
		"sessions": func(o *handlers.PublicOptions) { o.Sessions = nil },
		"users":    func(o *handlers.PublicOptions) { o.Users = nil },
		"logger":   func(o *handlers.PublicOptions) { o.Logger = nil },
		"metrics":  func(o *handlers.PublicOptions) { o.Metrics = nil },
	} {
		o := whole
		remove(&o)
		if _, err := handlers.NewPublic(o); err == nil {
			t.Errorf("no error without %s", name)
		}
	}
	if _, err := handlers.NewInternal(handlers.InternalOptions{}); err == nil {
		t.Error("NewInternal without options returns no error")
	}
}
