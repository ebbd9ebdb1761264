package session

import (
	"fmt"
	"log/slog"
	"time"
)

// Session is what a token stands for. Its text forms leave out the session_key, so that it cannot be logged by mistake.
type Session struct {
	AppID      string    // the mini-program
	OpenID     string    // the user in that mini-program
	SessionKey string    // WeChat's session_key as WeChat gave it: base64 text, never to be shown to a client
	CreatedAt  time.Time // cut to milliseconds, UTC
}

// String is the session without its session_key.
func (s Session) String() string {
	return fmt.Sprintf("session of %s in %s since %s", s.OpenID, s.AppID, s.CreatedAt.Format(time.RFC3339))
}

// GoString is String: %#v must not show the session_key either.
func (s Session) GoString() string { return s.String() }

// LogValue is the session without its session_key, for log/slog.
func (s Session) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("appid", s.AppID),
		slog.String("openid", s.OpenID),
		slog.Time("createdAt", s.CreatedAt),
	)
}
