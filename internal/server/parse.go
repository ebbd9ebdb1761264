package server

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// validator is a configuration that can find its own faults.
type validator interface{ validate() []error }

func load[C validator](environ []string) (C, error) {
	var c C
	vars, faults := variables(environ, variableNames(reflect.TypeFor[C]()))
	err := env.ParseWithOptions(&c, env.Options{
		Environment: vars,
		FuncMap:     map[reflect.Type]env.ParserFunc{reflect.TypeFor[time.Duration](): parseDuration},
	})
	faults = append(faults, parseFaults(err, reflect.TypeFor[C]())...)
	faults = append(faults, c.validate()...)
	return c, errors.Join(faults...)
}

// parseDuration reads a duration with a unit.
func parseDuration(s string) (any, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not a duration such as 168h", s)
	}
	return d, nil
}

// parseFaults takes apart what env reports, and leaves out what it says of its own innards.
func parseFaults(err error, config reflect.Type) []error {
	aggregate, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return nil
	}
	var faults []error
	for _, e := range aggregate.Errors {
		var unset env.VarIsNotSetError
		var empty env.EmptyVarError
		var parse env.ParseError
		switch {
		case errors.As(e, &unset):
			faults = append(faults, fmt.Errorf("%s is not set", unset.Key))
		case errors.As(e, &empty):
			faults = append(faults, fmt.Errorf("%s is not set", empty.Key))
		case errors.As(e, &parse):
			faults = append(faults, fmt.Errorf("%s: %w", variableOf(config, parse.Name), plain(parse.Err)))
		default:
			faults = append(faults, e)
		}
	}
	return faults
}

// plain says what is wrong with a number without naming the function that found it.
func plain(err error) error {
	if number, ok := errors.AsType[*strconv.NumError](err); ok {
		return fmt.Errorf("%q is not a whole number", number.Num)
	}
	return err
}

// variableOf names the variable behind a field that env could not parse; env tells the field's name.
func variableOf(config reflect.Type, field string) string {
	for i := range config.NumField() {
		f := config.Field(i)
		if variable, _, _ := strings.Cut(f.Tag.Get("env"), ","); f.Name == field && variable != "" {
			return variable
		}
		if f.Type.Kind() != reflect.Struct {
			continue
		}
		if variable := variableOf(f.Type, field); variable != field {
			return variable
		}
	}
	return field
}
