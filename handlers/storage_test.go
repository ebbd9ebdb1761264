package handlers_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

func TestStorageUnavailable(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		srv := newTestServer(t, func(cfg *serverConfig) {
			cfg.session.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
		})
		p := srv.device("alice")
		srv.wantProblem(srv.postForm("/onLogin", "code", p.Login()), 503, "storage_unavailable", "retry")
		r := srv.update(strings.Repeat("A", 43), p.GetUserInfo())
		srv.wantProblem(r, 503, "storage_unavailable", "retry") // never 401: the token may be valid
		if srv.logLine(r.body.RequestID)["cause"] == nil {
			t.Error("the log does not say why")
		}
	})
	t.Run("mysql", func(t *testing.T) {
		srv := newTestServer(t, func(cfg *serverConfig) { cfg.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
		srv.wantProblem(srv.postForm("/onLogin", "code", srv.device("alice").Login()), 503, "storage_unavailable", "retry")
		srv.wantNoKeys()
	})
	t.Run("tables are missing", func(t *testing.T) {
		srv := newTestServer(t)
		if _, err := srv.db.Exec("DROP TABLE wechat_identities"); err != nil {
			t.Fatal(err)
		}
		r := srv.postForm("/onLogin", "code", srv.device("alice").Login())
		srv.wantProblem(r, 503, "storage_unavailable", "retry") // wxlogin migrate would fix it
		if strings.Contains(r.raw, "wechat_identities") {
			t.Error("the response contains an inner error")
		}
		if cause := fmt.Sprint(srv.logLine(r.body.RequestID)["cause"]); !strings.Contains(cause, "no such table") {
			t.Errorf("the log's cause is %s", cause)
		}
	})
}

// blockedStore is a storage that never responds.
type blockedStore struct {
	handlers.Sessions
	handlers.Users
}

func (blockedStore) Revoke(ctx context.Context, _ string) error {
	<-ctx.Done()
	return fmt.Errorf("%w: %w", session.ErrUnavailable, ctx.Err())
}

func (h blockedStore) RevokeAll(ctx context.Context, _, _ string) error { return h.Revoke(ctx, "") }

func (blockedStore) Login(ctx context.Context, _ store.Identity) (store.User, bool, error) {
	<-ctx.Done()
	return store.User{}, false, fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
}

func (blockedStore) Lookup(ctx context.Context, _ string) (session.Session, error) {
	<-ctx.Done()
	return session.Session{}, fmt.Errorf("%w: %w", session.ErrUnavailable, ctx.Err())
}

// okWeChat is an app whose WeChat accepts every code.
type okWeChat struct{}

func (okWeChat) AppID() string { return appID }

func (okWeChat) Code2Session(context.Context, string) (wechat.Session, error) {
	return wechat.Session{OpenID: "o1", SessionKey: "tiihtNczf5v6AKRyjwEUhQ=="}, nil
}

func TestStorageTimeout(t *testing.T) {
	h, err := handlers.NewPublic(handlers.PublicOptions{
		Apps: []handlers.CodeExchanger{okWeChat{}}, Sessions: blockedStore{}, Users: blockedStore{},
		Logger: slog.New(slog.DiscardHandler), Metrics: handlers.NewMetrics(), StorageTimeout: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, form := range map[string]string{"/onLogin": "code=c", "/updateUserInfo": "token=t", "/logout": "token=t"} {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form))
		req.Header.Set("Content-Type", formType)
		h.ServeHTTP(rec, req)
		res := rec.Result()
		b := decode(t, res)
		if res.StatusCode != http.StatusServiceUnavailable || b.Code != "storage_unavailable" || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, res.StatusCode, b.Code)
		}
	}
}
