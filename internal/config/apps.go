package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// App is a mini-program whose users log in at the server.
type App struct {
	AppID  string
	Secret string // its AppSecret

	// PreviousSecret is the AppSecret before this one: sessions sealed under it stay valid. Optional.
	PreviousSecret string
}

var errApp = errors.New("an entry is not of the form appid:AppSecret or appid:AppSecret:previous AppSecret")

// UnmarshalText parses an entry of WECHAT_APPS. Its error does not contain the entry.
func (a *App) UnmarshalText(entry []byte) error {
	parts := strings.Split(strings.TrimSpace(string(entry)), ":")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return errApp
	}
	a.AppID, a.Secret = parts[0], parts[1]
	if len(parts) == 3 {
		a.PreviousSecret = parts[2]
	}
	return nil
}

// AllApps returns the single app, if there is one, and those of WECHAT_APPS. The first serves requests that name no app.
func (c Config) AllApps() []App {
	if c.App.AppID == "" {
		return c.Apps
	}
	return append([]App{App(c.App)}, c.Apps...)
}

func (c Config) validateApps() []error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	single := len(c.Apps) == 0
	if c.App.AppID == "" && (single || c.App.Secret != "") {
		fail("WECHAT_APPID is not set")
	}
	if c.App.Secret == "" && (single || c.App.AppID != "") {
		fail("WECHAT_SECRET is not set")
	}
	if c.App.PreviousSecret != "" && c.App.AppID == "" && !single {
		fail("WECHAT_SECRET_PREVIOUS belongs to WECHAT_APPID; in WECHAT_APPS it is the third part of an entry")
	}
	const malformed = "%s: %q is not an appid (letters, digits, '-' and '_')"
	if c.App.AppID != "" && !isAppID(c.App.AppID) {
		fail(malformed, "WECHAT_APPID", c.App.AppID)
	}
	seen := map[string]bool{c.App.AppID: true}
	for _, app := range c.Apps {
		if !isAppID(app.AppID) {
			fail(malformed, "WECHAT_APPS", app.AppID)
		}
		if seen[app.AppID] {
			fail("WECHAT_APPS: %s is listed twice", app.AppID)
		}
		seen[app.AppID] = true
	}
	return errs
}

func isAppID(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return s != "" && len(s) <= 64 && strings.Trim(s, allowed) == ""
}
