package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// App is a mini-program that the server logs users in to.
type App struct {
	AppID  string
	Secret string // its AppSecret

	// PreviousSecret is the AppSecret before this one: sessions sealed under it stay valid. Optional.
	PreviousSecret string
}

var errApp = errors.New("an entry is not of the form appid:AppSecret or appid:AppSecret:previous AppSecret")

// UnmarshalText reads an entry of WECHAT_APPS. Its error shows nothing of it.
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

// allApps are the single app, where there is one, and those of the list.
func (c Config) allApps() []App {
	if c.App.AppID == "" {
		return c.Apps
	}
	return append([]App{App(c.App)}, c.Apps...)
}

func (c Config) appFaults() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	alone := len(c.Apps) == 0
	if c.App.AppID == "" && (alone || c.App.Secret != "") {
		fault("WECHAT_APPID is not set")
	}
	if c.App.Secret == "" && (alone || c.App.AppID != "") {
		fault("WECHAT_SECRET is not set")
	}
	if c.App.PreviousSecret != "" && c.App.AppID == "" && !alone {
		fault("WECHAT_SECRET_PREVIOUS belongs to WECHAT_APPID; in WECHAT_APPS it is an entry's third part")
	}
	const malformed = "%s: %q is not an appid (letters, digits, '-' and '_')"
	if c.App.AppID != "" && !validAppID(c.App.AppID) {
		fault(malformed, "WECHAT_APPID", c.App.AppID)
	}
	seen := map[string]bool{c.App.AppID: true}
	for _, app := range c.Apps {
		if !validAppID(app.AppID) {
			fault(malformed, "WECHAT_APPS", app.AppID)
		}
		if seen[app.AppID] {
			fault("WECHAT_APPS: %s is given twice", app.AppID)
		}
		seen[app.AppID] = true
	}
	return faults
}
