package server

import "errors"

// ErrMisconfigured is the class of Start's errors that only a change of the configuration mends: waiting does not help.
var ErrMisconfigured = errors.New("the configuration is wrong")

// configError is a fault of the configuration that shows only once its part is asked. It is an ErrMisconfigured.
type configError struct {
	variable string // whose value is wrong, such as MYSQL_DSN
	text     string // what is wrong and what helps; holds no secret
}

func (e configError) Error() string { return e.variable + ": " + e.text }

// Is implements the interface of errors.Is.
func (e configError) Is(target error) bool { return target == ErrMisconfigured }
