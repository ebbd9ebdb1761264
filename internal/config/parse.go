package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
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
	if !splitEntry(entry, &a.AppID, &a.Secret, &a.PreviousSecret) {
		return errApp
	}
	return nil
}

// splitEntry splits an entry of two or three parts at its colons, and reports whether it has that form. Otherwise it sets
// nothing.
func splitEntry(entry []byte, first, second, third *string) bool {
	parts := strings.Split(strings.TrimSpace(string(entry)), ":")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return false
	}
	*first, *second = parts[0], parts[1]
	if len(parts) == 3 {
		*third = parts[2]
	}
	return true
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

// validator is a configuration that can check itself.
type validator interface{ validate() []error }

func load[C validator](environ []string) (C, error) {
	var c C
	vars, errs := variables(environ, variableNames(reflect.TypeFor[C]()))
	err := env.ParseWithOptions(&c, env.Options{
		Environment: vars,
		FuncMap:     map[reflect.Type]env.ParserFunc{reflect.TypeFor[time.Duration](): parseDuration},
	})
	errs = append(errs, parseErrors(err, reflect.TypeFor[C]())...)
	errs = append(errs, c.validate()...)
	return c, errors.Join(errs...)
}

// DSNs are data source names in the form of MYSQL_DSN.
type DSNs []string

// UnmarshalText parses names that are separated by white space. A DSN contains none.
func (d *DSNs) UnmarshalText(text []byte) error {
	*d = strings.Fields(string(text))
	return nil
}

// OnSwitch is true for a feature that is switched on. Its zero value is off.
type OnSwitch bool

// UnmarshalText parses on or off.
func (s *OnSwitch) UnmarshalText(text []byte) error {
	value := string(text)
	if value != "on" && value != "off" {
		return fmt.Errorf("%q is neither on nor off", value)
	}
	*s = value == "on"
	return nil
}

// OffSwitch is true for a feature that is switched off. Its zero value is on.
type OffSwitch bool

// UnmarshalText parses on or off.
func (s *OffSwitch) UnmarshalText(text []byte) error {
	on := OnSwitch(!*s)
	err := on.UnmarshalText(text)
	*s = OffSwitch(!on)
	return err
}

func parseDuration(s string) (any, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not a duration such as 168h", s)
	}
	return d, nil
}

// parseErrors returns the errors in env's error, each with the name of its variable and without env's internals.
func parseErrors(err error, config reflect.Type) []error {
	aggregate, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return nil
	}
	var errs []error
	for _, e := range aggregate.Errors {
		var unset env.VarIsNotSetError
		var empty env.EmptyVarError
		var parse env.ParseError
		switch {
		case errors.As(e, &unset):
			errs = append(errs, fmt.Errorf("%s is not set", unset.Key))
		case errors.As(e, &empty):
			errs = append(errs, fmt.Errorf("%s is not set", empty.Key))
		case errors.As(e, &parse):
			errs = append(errs, fmt.Errorf("%s: %w", variableName(config, parse.Name), readable(parse.Err)))
		default:
			errs = append(errs, e)
		}
	}
	return errs
}

// readable replaces strconv's errors, which name a Go function.
func readable(err error) error {
	if number, ok := errors.AsType[*strconv.NumError](err); ok {
		return fmt.Errorf("%q is not a whole number", number.Num)
	}
	return err
}

// variableName returns the variable of a field. env's errors have only the field's name.
func variableName(config reflect.Type, field string) string {
	for f := range config.Fields() {
		if variable, _, _ := strings.Cut(f.Tag.Get("env"), ","); f.Name == field && variable != "" {
			return variable
		}
		if f.Type.Kind() != reflect.Struct {
			continue
		}
		if variable := variableName(f.Type, field); variable != field {
			return variable
		}
	}
	return field
}
