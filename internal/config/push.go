package config

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"wxlogin/wechat/push"
)

// Push is a mini-program whose messages WeChat pushes to this server.
type Push struct {
	AppID          string
	Token          string
	EncodingAESKey string // "" = the messages are not encrypted
}

var errPush = errors.New("an entry is not of the form appid:Token or appid:Token:EncodingAESKey")

// UnmarshalText parses an entry of WECHAT_PUSH. Its error does not contain the entry.
func (p *Push) UnmarshalText(entry []byte) error {
	if !splitEntry(entry, &p.AppID, &p.Token, &p.EncodingAESKey) {
		return errPush
	}
	return nil
}

// Receiver returns the reader of the messages. Its error does not contain the token or the key.
func (p Push) Receiver() (*push.Receiver, error) {
	return push.New(push.Options{AppID: p.AppID, Token: p.Token, EncodingAESKey: p.EncodingAESKey})
}

func (c Config) validatePushes() []error {
	var errs []error
	apps := c.AllApps()
	seen := map[string]bool{}
	for _, p := range c.Pushes {
		if !slices.ContainsFunc(apps, func(app App) bool { return app.AppID == p.AppID }) {
			errs = append(errs, errors.New("WECHAT_PUSH: an entry is not for one of the mini-programs of WECHAT_APPID and WECHAT_APPS"))
		} else if seen[p.AppID] {
			errs = append(errs, fmt.Errorf("WECHAT_PUSH: %s is listed twice", p.AppID))
		}
		seen[p.AppID] = true
		if _, err := p.Receiver(); err != nil && p.AppID != "" {
			errs = append(errs, fmt.Errorf("WECHAT_PUSH: %w", err))
		}
	}
	if c.PushForward != "" && !isWebAddress(c.PushForward) {
		errs = append(errs, errors.New("WECHAT_PUSH_FORWARD is not an http or https URL"))
	}
	return errs
}

// Zone is a time zone by its name, such as Asia/Shanghai or UTC.
type Zone struct{ Location *time.Location }

// String returns the name.
func (z Zone) String() string {
	if z.Location == nil {
		return ""
	}
	return z.Location.String()
}

// UnmarshalText loads the zone with this name.
func (z *Zone) UnmarshalText(name []byte) (err error) {
	if z.Location, err = time.LoadLocation(string(name)); err != nil || z.Location == time.Local {
		return fmt.Errorf("%q is not a time zone such as Asia/Shanghai or UTC", name)
	}
	return nil
}
