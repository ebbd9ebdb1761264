package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

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

// OffSwitch is true for a feature that is switched off. Its zero value is on.
type OffSwitch bool

// UnmarshalText parses on or off.
func (s *OffSwitch) UnmarshalText(text []byte) error {
	switch value := string(text); value {
	case "on", "off":
		*s = value == "off"
		return nil
	default:
		return fmt.Errorf("%q is neither on nor off", value)
	}
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
