package handlers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

// Defaults of PublicOptions.
const (
	DefaultStorageTimeout = time.Second
	DefaultLateLoginWait  = 300 * time.Millisecond
)

// CodeExchanger exchanges the code of wx.login with WeChat for one mini-program. *wechat.Client is one.
type CodeExchanger interface {
	AppID() string
	Code2Session(ctx context.Context, code string) (wechat.Session, error)
}

// Sessions keeps what tokens stand for. *session.Store is one.
type Sessions interface {
	Create(ctx context.Context, sess session.Session) (token string, err error)
	Lookup(ctx context.Context, token string) (session.Session, error)
	OtherSessionKeys(ctx context.Context, sess session.Session) ([]string, error)
	IdleTTL() time.Duration
}

// Users keeps people and their profiles. *store.Users is one.
type Users interface {
	Login(ctx context.Context, id store.Identity) (user store.User, created bool, err error)
	UpdateProfile(ctx context.Context, appID, openID string, p store.Profile) (store.User, error)
}

// PublicOptions are the parts of the public listener.
type PublicOptions struct {
	Apps     []CodeExchanger // required; the first serves requests that name no appid
	Sessions Sessions        // required
	Users    Users           // required
	Logger   *slog.Logger    // required
	Metrics  *Metrics        // required

	// StorageTimeout bounds each step that waits for MySQL or Redis. Default DefaultStorageTimeout.
	StorageTimeout time.Duration

	// LateLoginWait is how long data that no session_key of its user opens waits, once, for a login under way: another
	// page's wx.login has replaced the key, and the data came before that page's code did. Default DefaultLateLoginWait.
	LateLoginWait time.Duration
}

func (o *PublicOptions) validate() error {
	if len(o.Apps) == 0 {
		return errors.New("handlers: no app")
	}
	if o.Sessions == nil || o.Users == nil || o.Logger == nil || o.Metrics == nil {
		return errors.New("handlers: Sessions, Users, Logger and Metrics are required")
	}
	return nil
}

// public holds what the routes for mini-programs share.
type public struct {
	apps           map[string]CodeExchanger
	defaultApp     string
	sessions       Sessions
	users          Users
	metrics        *Metrics
	storageTimeout time.Duration
	lateLoginWait  time.Duration
}

// NewPublic makes the handler of the public listener: POST /onLogin and POST /updateUserInfo.
func NewPublic(o PublicOptions) (http.Handler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.StorageTimeout == 0 {
		o.StorageTimeout = DefaultStorageTimeout
	}
	if o.LateLoginWait == 0 {
		o.LateLoginWait = DefaultLateLoginWait
	}
	p := &public{
		apps: make(map[string]CodeExchanger), defaultApp: o.Apps[0].AppID(),
		sessions: o.Sessions, users: o.Users, metrics: o.Metrics,
		storageTimeout: o.StorageTimeout, lateLoginWait: o.LateLoginWait,
	}
	for _, app := range o.Apps {
		p.apps[app.AppID()] = app
	}
	r := newRouter(o.Logger, slog.LevelInfo, o.Metrics)
	r.Post("/onLogin", handle(p.onLogin))
	r.Post("/updateUserInfo", handle(p.updateUserInfo))
	return r, nil
}

// storage bounds a step that waits for MySQL or Redis.
func (p *public) storage(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, p.storageTimeout)
}

// newRouter makes a router with what every listener has: request ids, access log, metrics, recovery, problem answers.
func newRouter(logger *slog.Logger, level slog.Level, metrics *Metrics) *chi.Mux {
	r := chi.NewRouter()
	r.Use(observe(logger, level, metrics), recoverPanics)
	r.NotFound(handle(func(http.ResponseWriter, *http.Request) error {
		return failure{code: codeNotFound}
	}))
	r.MethodNotAllowed(handle(func(w http.ResponseWriter, r *http.Request) error {
		w.Header()["Allow"] = allowedMethods(r)
		return failure{code: codeMethodNotAllowed}
	}))
	return r
}

// allowedMethods lists the methods that the requested path has (RFC 9110, section 10.2.1).
func allowedMethods(r *http.Request) []string {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		if chi.RouteContext(r.Context()).Routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
			allowed = append(allowed, method)
		}
	}
	return allowed
}
